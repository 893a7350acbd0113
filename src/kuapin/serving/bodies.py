"""What comes and goes as JSON."""

import time
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from kuapin import columns as c
from kuapin.data.schema import EARLIEST, FUTURE_DAYS, HIGHEST_PRICE, SCHEMAS

DAY = 86_400
LONGEST_ID = 512
LONGEST_TEXT = 20_000
MOST_ATTRIBUTES = 50


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half a surrogate pair is no character") from error
    return text


def _not_ahead(seconds: int) -> int:
    if seconds > time.time() + FUTURE_DAYS * DAY:
        raise ValueError("times lie at most a day ahead, in unix seconds")
    return seconds


def _own_name(name: str) -> str:
    if name in SCHEMAS[c.ITEMS].declared:
        raise ValueError(f"{name} is a field of its own: it stands beside the attributes, not among them")
    return name


Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(_encodable)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID), AfterValidator(_encodable)]
When = Annotated[int, Field(ge=int(EARLIEST.timestamp())), AfterValidator(_not_ahead)]
Event = Literal[
    "view", "click", "cart", "purchase", "favourite", "share", "rating", "review", "search", "impression", "redeem"
]
Outcome = Literal["click", "cart", "purchase", "favourite", "share", "rating", "review", "redeem"]
Decision = Literal["better", "worse", "no difference", "undecided", "mismatch", "stopped", "interrupted"]
Basis = Literal["personal", "session", "category_popular", "shop_popular", "nothing"]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Recommendation(BaseModel):
    """One place of a list."""

    rank: int = Field(description="From 1.")
    kind: str = Field(examples=["item"])
    target_id: str = Field(description="Id of the item.", examples=["1082185"])
    score: float = Field(description="Probability of a purchase in the near future, or how near two items are.")
    reason_code: str | None = None
    reason: str | None = None
    surface: str | None = Field(None, description="Of a home page: the surface that gives this row.")
    growth: float | None = Field(None, description="Of trends: how many times what was to be expected.")
    growth_low: float | None = Field(None, description="Of trends: lower end of the 95 % interval of growth.")
    growth_high: float | None = Field(None, description="Of trends: upper end.")
    since: date | None = Field(None, description="Of trends: the day that the excess began, where it has one.")
    propensity: float | None = Field(
        None, description="Probability with which it came to its place, where places try; give it to impressions."
    )


class RecommendationsOut(BaseModel):
    """A list, and where it comes from."""

    user_id: str | None = Field(description="Null for visitors and similar items.")
    surface: str = Field(examples=["products"])
    release: str = Field(description="The release that answered.", examples=["20261124-130350-822"])
    ranking_id: str = Field(description="Name this list in impressions and events.", examples=["9f86d081884c7d65"])
    basis: Basis | Literal["content"] = Field(description="What it rests on, the first that there is.")
    recommendations: list[Recommendation]


class Met(_In):
    """One thing that a visitor did."""

    item_id: Id
    event: Event = "view"
    timestamp: When | None = Field(None, description="Unix seconds; null: just now.")


class VisitorIn(_In):
    """What a visitor did, and what is asked for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"history": ["1082185", {"item_id": "995242", "event": "cart"}], "n": 10}]},
    )

    history: list[Id | Met] = Field(default_factory=list, description="Item ids, or events, oldest first.")
    n: int = Field(10, ge=1)
    offset: int = Field(0, ge=0)
    categories: list[Id] | None = Field(None, description="Top-level categories; null: all.")
    per_category: int | None = Field(None, ge=1)
    deny: list[Id] = Field(default_factory=list, description="Items that are not to be shown.")
    discovery: float | None = Field(None, ge=-1, le=1, description="From -1, more of the same, to 1, what is new.")
    explain: bool = False
    session_id: Id | None = Field(None, description="Whose events count where the history is empty.")


class EventIn(_In):
    """One interaction."""

    event_id: Id | None = Field(None, description="Sent twice it counts once; without one the content is the id.")
    user_id: Id
    item_id: Id | None = Field(None, description="Needed but for searches, and redemptions that name a campaign.")
    timestamp: When | None = Field(None, description="Unix seconds; null: now.")
    event: Event = "view"
    value: float | None = Field(None, allow_inf_nan=False)
    text: Text | None = Field(None, description="Of a review; personal data in it are masked.")
    query: Text | None = Field(None, description="Of a search; personal data in it are masked.")
    basket_id: Id | None = None
    session_id: Id | None = None
    campaign_id: Id | None = None
    ranking_id: Id | None = Field(None, description="The list that it followed from.")

    @model_validator(mode="after")
    def _has_an_item(self) -> Self:
        if self.item_id is None and self.event != "search" and not (self.event == "redeem" and self.campaign_id):
            raise ValueError("item_id is missing; only searches, and redemptions of a campaign, go without")
        return self


class InteractionsIn(_In):
    """A batch of events."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"interactions": [{"event_id": "e-1", "user_id": "u7", "item_id": "1082185", "event": "cart"}]}
            ]
        },
    )

    interactions: list[EventIn] = Field(min_length=1)


class Shown(_In):
    """One item that was shown."""

    item_id: Id
    position: int = Field(ge=1, lt=2**31)
    propensity: float | None = Field(None, gt=0, le=1, description="Probability with which it came to this place.")


class ImpressionIn(_In):
    """A list that was shown to somebody."""

    ranking_id: Id
    user_id: Id
    release: Id
    surface: Id = "products"
    timestamp: When | None = None
    session_id: Id | None = None
    items: list[Shown] = Field(min_length=1)


class ImpressionsIn(_In):
    """A batch of lists that were shown."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "impressions": [
                        {
                            "ranking_id": "9f86d081884c7d65",
                            "user_id": "u7",
                            "release": "20261124-130350-822",
                            "items": [{"item_id": "1082185", "position": 1}],
                        }
                    ]
                }
            ]
        },
    )

    impressions: list[ImpressionIn] = Field(min_length=1)


class WrittenOut(BaseModel):
    """What is on the disk now."""

    added: int = Field(description="Events that are new.")
    known: int = Field(description="Events that were there already.")


class ItemIn(_In):
    """An item as it is from now on; what is left out is unknown."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"title": "Oat drink, 1 l", "category": "GROCERY > MILK", "brand": "Oatly", "price": 2.49}]
        },
    )

    title: Text | None = None
    description: Text | None = None
    category: Text | None = Field(None, description="A path: Beauty > Skin care.")
    brand: Text | None = None
    price: float | None = Field(None, ge=0, le=HIGHEST_PRICE, allow_inf_nan=False)
    image: Text | None = None
    available: bool | None = Field(None, description="Null: it is.")
    created_at: When | None = None
    attributes: dict[Annotated[Text, AfterValidator(_own_name)], Text] = Field(
        default_factory=dict, max_length=MOST_ATTRIBUTES, description="Any others."
    )

    def fields(self) -> dict[str, Any]:
        """The columns that it has in the items table."""
        own = self.model_dump(exclude={"attributes"}, exclude_none=True)
        return self.attributes | own


class ItemOut(BaseModel):
    """What became of an item."""

    item_id: str
    release: str = Field(description="The release that knows it now.")
    recommendable: bool


class ErasedOut(BaseModel):
    """A person is gone."""

    receipt: str = Field(description="To be kept: it names the erasure without naming the person.")
    rows: int = Field(description="Rows that were deleted.")
    remains: list[str] = Field(description="What is left to do, and by when it is done by itself.")


class ReleaseOut(BaseModel):
    """One release."""

    version: str
    created_at: str
    bytes: int
    live: bool
    metrics: dict[str, float | None]
    fault: str | None = Field(description="Why it would be refused.")


class ReleasesOut(BaseModel):
    """Releases, newest first."""

    total: int
    releases: list[ReleaseOut]


class OutcomeOut(BaseModel):
    """What followed from what was shown."""

    surface: str | None
    release: str | None
    category: str | None = Field(description="Top-level; null: the live release does not know the item.")
    shown: int = Field(description="Impressions.")
    clicked: int = Field(description="Of these, how many led to a click.")
    bought: int = Field(description="Of these, how many led to a purchase.")
    click_rate: float
    purchase_rate: float


class OutcomesOut(BaseModel):
    """By surface, release and category."""

    days: int
    outcomes: list[OutcomeOut]


class ExperimentIn(_In):
    """A release to be compared with the live one, on people."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"challenger": "20261124-130350-822", "share": 0.5, "outcome": "purchase"}]},
    )

    challenger: Id = Field(description="The release that some people get instead of the live one.")
    share: float = Field(0.5, ge=0.01, le=0.99, description="Of the people: each gets the same one all the time.")
    surface: Id = Field("products", description="Whose impressions count.")
    outcome: Outcome = Field("click", description="What is wanted of a person, with an item that was shown.")
    window_hours: float = Field(24.0, ge=0.001, le=720, description="So long after the first list it counts.")
    level: float = Field(0.05, ge=0.0001, le=0.5, description="Chance to call two equal releases different.")
    smallest: float = Field(0.02, ge=0, le=1, description="Share of the live rate; a smaller difference is none.")
    least_users: int = Field(200, ge=2, lt=2**31, description="In each group, before anything is decided.")
    most_days: int = Field(28, ge=1, le=365, description="Then it ends undecided.")
    activate: bool = Field(default=False, description="Whether a challenger that wins goes live.")


class ExperimentOut(BaseModel):
    """An experiment, and how it stands: the interval may be looked at whenever one likes."""

    experiment_id: str
    control: str = Field(description="The release that was live when it began.")
    challenger: str
    share: float
    surface: str
    outcome: str
    window_hours: float
    level: float
    smallest: float
    least_users: int
    most_days: int
    activate: bool
    started_at: int = Field(description="Unix seconds.")
    ended_at: int | None
    decision: Decision | None = Field(description="Null: it goes on.")
    control_users: int = Field(description="People whose window has closed.")
    challenger_users: int
    waiting_users: int = Field(description="People whose window is open.")
    control_rate: float | None = Field(description="Share of people who did what is wanted.")
    challenger_rate: float | None
    difference: float | None = Field(description="Challenger less control.")
    low: float | None = Field(description="Lower end of its confidence sequence; null: nothing is known yet.")
    high: float | None


class ExperimentsOut(BaseModel):
    """Experiments, newest first."""

    total: int
    experiments: list[ExperimentOut]


class LiveOut(BaseModel):
    """What is live."""

    release: str


class HealthOut(BaseModel):
    """Whether it works."""

    status: Literal["ok", "starting", "failing"]
    release: str | None = None
