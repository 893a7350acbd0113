"""Histories as texts, and what of them trains and what measures."""

from dataclasses import replace

import numpy as np
import pytest

from kuapin.finetuning.history_text import SEPARATOR, history_text, readings
from tests import market
from tests.finetuning.conftest import material_of


def test_the_newest_item_comes_first_and_the_oldest_is_left_out():
    names = ["oak lamp", "rose soap", "", "sun toy"]
    assert history_text([0, 1, 2, 3], names, 3) == "sun toy; rose soap"
    assert history_text(np.array([0]), names, 3) == "oak lamp"


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_no_title_is_both_trained_on_and_measured(share):
    material = material_of(market.dataset())
    train, held = readings(material, share, 20)
    catalogue = dict(zip(material.texts, material.titles, strict=True))

    def titles(texts):
        return {title for text in texts for title in catalogue.get(text, text).split(SEPARATOR)}

    assert any(SEPARATOR in text for text in train)
    assert any(SEPARATOR in text for text in held)
    assert titles(train).isdisjoint(titles(held))
    assert titles(train) | titles(held) == set(material.titles)


def test_items_of_one_title_stay_together_whatever_else_their_texts_say():
    material = material_of(market.dataset())
    titles = tuple(f"title {row // 4}" for row in range(96))
    material = replace(material, titles=titles, texts=tuple(f"{title}, {row}" for row, title in enumerate(titles)))
    out = material.held_out_texts(np.arange(96), 0.4).reshape(-1, 4)
    assert (out.all(axis=1) == out.any(axis=1)).all()
    assert 0 < out.sum() < 96
