"""The first form: events, items, erasures and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "interactions",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("text", sa.Text),
        sa.Column("query", sa.Text),
        sa.Column("basket_id", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("campaign_id", sa.Text),
        sa.Column("ranking_id", sa.Text),
        sa.Column("position", sa.BigInteger),
        sa.Column("propensity", sa.Float),
        sa.Column("surface", sa.Text),
        sa.Column("release", sa.Text),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("interactions_of_user", "interactions", ["user_id", "number"])
    op.create_index("interactions_of_session", "interactions", ["session_id"])
    op.create_index("interactions_of_ranking", "interactions", ["ranking_id"])
    op.create_index("interactions_by_age", "interactions", ["received_at"])
    op.create_table(
        "item_changes",
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_item_changes_number", "item_changes", ["number"])
    op.create_table(
        "erasures",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("erased_at", sa.BigInteger, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("rate", sa.Float),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("api_keys", "erasures", "item_changes", "interactions"):
        op.drop_table(table)
