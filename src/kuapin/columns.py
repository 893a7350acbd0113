"""The one place that spells the name of a table or a column."""

ITEMS = "items"
INTERACTIONS = "interactions"
USERS = "users"
CAMPAIGNS = "campaigns"
RELATIONS = "relations"
LABELS = "labels"
TABLES = (ITEMS, INTERACTIONS, USERS, CAMPAIGNS, RELATIONS, LABELS)

ITEM_ID = "item_id"
USER_ID = "user_id"
CAMPAIGN_ID = "campaign_id"

TITLE = "title"
DESCRIPTION = "description"
CATEGORY = "category"
BRAND = "brand"
PRICE = "price"
IMAGE = "image"
AVAILABLE = "available"
CREATED_AT = "created_at"

TIMESTAMP = "timestamp"
EVENT = "event"
VALUE = "value"
TEXT = "text"
QUERY = "query"
EVENT_ID = "event_id"
BASKET_ID = "basket_id"
SESSION_ID = "session_id"
RANKING_ID = "ranking_id"
POSITION = "position"
PROPENSITY = "propensity"

KIND = "kind"
START = "start"
END = "end"
DISCOUNT = "discount"
ITEM_IDS = "item_ids"

HEAD = "head"
RELATION = "relation"
TAIL = "tail"

TASK = "task"
LABEL = "label"
SOURCE = "source"

EVENTS = (
    "view",
    "click",
    "cart",
    "purchase",
    "favourite",
    "share",
    "rating",
    "review",
    "search",
    "impression",
    "redeem",
)
"""Event names in the order of their codes: an event's uint8 code is its index here."""

CATEGORY_SEPARATOR = " > "
NO_CATEGORY = "(none)"

# One recommendation (DESIGN §7, batch output), in this order.
SURFACE = "surface"
RANK = "rank"
TARGET_ID = "target_id"
SCORE = "score"
REASON_CODE = "reason_code"
REASON = "reason"
RELEASE = "release"
RECOMMENDATION = (USER_ID, SURFACE, RANK, KIND, TARGET_ID, SCORE, REASON_CODE, REASON, RELEASE)

# What trends adds: ratio to what was to be expected, the ends of its interval, the day that it began.
GROWTH = "growth"
GROWTH_LOW = "growth_low"
GROWTH_HIGH = "growth_high"
SINCE = "since"
GROWN = (GROWTH, GROWTH_LOW, GROWTH_HIGH, SINCE)
