"""A history as one text, and the stories that language models read beside the catalogue."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kuapin.finetuning.material import Material

SEPARATOR = "; "


def history_text(items: NDArray[np.integer] | Sequence[int], names: Sequence[str], longest: int) -> str:
    """The names of the ``longest`` most recent items, the newest first, so that a cut takes the oldest.

    Args:
        items: item rows, oldest first.
        names: of every item.
        longest: items at most.
    """
    recent = [names[int(item)] for item in reversed(items[-longest:])]
    return SEPARATOR.join(name for name in recent if name)


def readings(material: Material, held_out: float, history_items: int) -> tuple[list[str], list[str]]:
    """What a language model reads: every distinct text of the catalogue, and the histories of users as texts.

    A title is on one side alone: users who train are read without the items that measure, and the other way round.

    Args:
        material: of the shop.
        held_out: share of texts, and of users, that measure and do not train.
        history_items: items of a history at most; 0: no histories.

    Returns:
        The texts to train on and the texts to measure on.
    """
    rows = material.text_rows()
    out = material.held_out_texts(rows, held_out)
    train = [material.texts[row] for row in rows[~out]]
    held = [material.texts[row] for row in rows[out]]
    if history_items:
        hidden = {material.titles[row] for row in rows[out]}
        measures = np.array([title in hidden for title in material.titles], dtype=np.bool_)
        users, histories = material.held_out_users(held_out), material.histories
        own = histories.keep(measures[histories.items] == users[histories.users])
        for user in np.flatnonzero(own.lengths > 1):
            text = history_text(own.of(int(user)), material.titles, history_items)
            (held if users[user] else train).append(text)
    return [text for text in train if text], [text for text in held if text]
