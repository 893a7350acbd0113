"""The settings of ``kuapin refresh``, apart from it: ``kuapin.toml`` knows them, and nothing below it the pipeline."""

from pydantic import BaseModel, ConfigDict, Field


class RefreshConfig(BaseModel):
    """What a refresh trains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    warm: bool = Field(
        default=True,
        description="Go on from the live release: its ranker stays, its sources learn what came, its user model in a "
        "few passes more. False: train everything anew every time.",
    )
    anew_after: int = Field(
        6, ge=0, description="After so many refreshes in a row that went on, everything is trained anew."
    )
    encoder: bool = Field(
        default=True,
        description="Tune the language model by an adapter where texts or categories moved much; the gate decides "
        "about it as about all else. False: leave it as it is.",
    )
