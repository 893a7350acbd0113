import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# A busy machine is no fault of the code: no deadlines; the same examples every time.
settings.register_profile("kuapin", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kuapin")


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def data() -> Path:
    """The development data; the test is skipped where they are not."""
    folder = Path(os.environ.get("KUAPIN_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}; set KUAPIN_DATA")
    return folder


@pytest.fixture
def tables(tmp_path) -> Path:
    """A folder with a tiny shop's ``items.csv`` and ``interactions.csv``."""
    folder = tmp_path / "tables"
    folder.mkdir()
    items = [
        ("b1", "Rose soap", "Beauty > Soap", "Ada", 3.0),
        ("b2", "Rose cream", "Beauty > Cream", "Ada", 9.0),
        ("h1", "Rose candle", "Home > Candles", "Lux", 5.0),
        ("h2", "Oak table", "Home > Furniture", "Lux", 90.0),
    ]
    log = [("u1", "b1", 100), ("u1", "h1", 200), ("u2", "b1", 150), ("u2", "b2", 160), ("u3", "h2", 300)]
    pl.DataFrame(items, schema=["item_id", "title", "category", "brand", "price"], orient="row").write_csv(
        folder / "items.csv"
    )
    pl.DataFrame(log, schema=["user_id", "item_id", "timestamp"], orient="row").with_columns(
        pl.lit("purchase").alias("event"), pl.col("timestamp") + 1_700_000_000
    ).write_csv(folder / "interactions.csv")
    return folder
