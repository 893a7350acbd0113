"""Items with their labels: from the labels table, and from a column of the items themselves."""

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.errors import InputError
from kuapin.finetuning.material import Material
from kuapin.names import offered
from kuapin.text.masking import mask

PSEUDO = "pseudo"
"""In the column ``source`` of the labels table: a classifier's guess, which is learnt from and never measured by."""


@dataclass(frozen=True)
class Labelled:
    """Items and what they are labelled with.

    Attributes:
        rows: int64 (n,), item rows, ascending.
        labels: one tuple of labels an item, never empty.
    """

    rows: NDArray[np.int64]
    labels: tuple[tuple[str, ...], ...]

    def take(self, which: NDArray[np.integer]) -> "Labelled":
        """Some of the items."""
        return Labelled(self.rows[which], tuple(self.labels[place] for place in which))


def labelled_items(material: Material, task: str) -> Labelled:
    """The allowed items with a title and at least one label that is no guess.

    Args:
        material: with the labels table and the items.
        task: as ``labels_of`` takes it.

    Raises:
        InputError: nothing has this name, no item has a label, or the labels are of items that the shop does not have.
    """
    catalogue = material.dataset.catalogue
    _check(catalogue, material.labels, task)
    found = _allowed(material, labels_of(catalogue, material.labels, task))
    if not len(found.rows):
        raise InputError(
            f"No item of the chosen categories has a title and a label of {task!r}. Import labels, or choose another "
            "task."
        )
    return found


def guessed_items(material: Material, task: str) -> Labelled:
    """The allowed items with a title whose labels are guesses; often none.

    Args:
        material: with the labels table and the items.
        task: as ``labels_of`` takes it.
    """
    return _allowed(material, guesses_of(material.dataset.catalogue, material.labels, task))


def _allowed(material: Material, found: Mapping[int, Sequence[str]]) -> Labelled:
    rows = [row for row in sorted(found) if material.allowed[row] and material.titles[row]]
    return Labelled(np.array(rows, dtype=np.int64), tuple(tuple(found[row]) for row in rows))


def labels_of(catalogue: Catalogue, table: pl.DataFrame, task: str) -> dict[int, list[str]]:
    """Item row → its distinct labels, personal data replaced; guesses are left out.

    What the labels table says of an item stands in place of what its column says.

    Args:
        catalogue: the items.
        table: of labels.
        task: of the labels table; ``category`` (the top level), ``leaf`` (the whole path), or any column of the items.

    Returns:
        Nothing of items that have none, or that the shop does not have.
    """
    of_column = _of_column(catalogue, task) if _is_column(catalogue, task) else {}
    return _masked(of_column | _of_table(catalogue, table.filter(~_guessed(table)), task))


def guesses_of(catalogue: Catalogue, table: pl.DataFrame, task: str) -> dict[int, list[str]]:
    """Item row → what a classifier guessed, of items that nobody else says anything of.

    Args:
        catalogue: the items.
        table: of labels.
        task: as ``labels_of`` takes it.
    """
    guesses = _masked(_of_table(catalogue, table.filter(_guessed(table)), task))
    said = labels_of(catalogue, table, task) if guesses else {}
    return {row: labels for row, labels in guesses.items() if row not in said}


def _guessed(table: pl.DataFrame) -> pl.Expr:
    return pl.col(c.SOURCE).eq_missing(PSEUDO) if c.SOURCE in table.columns else pl.lit(value=False)


def _check(catalogue: Catalogue, table: pl.DataFrame, task: str) -> None:
    """Refuse a name that nothing has, and labels of which none is of an item of the shop; warn where some are not."""
    ids = _of_task(table, task)[c.ITEM_ID]
    if not len(ids) and not _is_column(catalogue, task):
        tasks = table[c.TASK].unique().sort().to_list()
        known = [*tasks, c.CATEGORY, "leaf", *(name for name in catalogue.frame.columns if name != c.ITEM_ID)]
        raise InputError(
            f"There are no labels {task!r} in this shop, and no such column. "
            + offered(task, known, "tasks and columns")
        )
    unknown = int((catalogue.items.rows(ids) < 0).sum())
    if unknown and unknown == len(ids):
        raise InputError(
            f"labels of {task!r}: none of the {unknown:,} is of an item that this shop has "
            f"({ids[0]!r} is the first). Import the items first, or correct the ids."
        )
    if unknown:
        warnings.warn(
            f"labels of {task!r}: {unknown:,} of {len(ids):,} are of items that this shop does not have; left out.",
            stacklevel=4,
        )


def _of_task(table: pl.DataFrame, task: str) -> pl.DataFrame:
    return table.filter(pl.col(c.TASK) == task)


def _of_table(catalogue: Catalogue, table: pl.DataFrame, task: str) -> dict[int, list[str]]:
    own = _of_task(table, task)
    found: dict[int, list[str]] = {}
    for row, label in zip(catalogue.items.rows(own[c.ITEM_ID]), own[c.LABEL], strict=True):
        if row >= 0:
            found.setdefault(int(row), []).append(label)
    return found


def _is_column(catalogue: Catalogue, task: str) -> bool:
    return task in (c.CATEGORY, "leaf") or task in catalogue.frame.columns


def _of_column(catalogue: Catalogue, task: str) -> dict[int, list[str]]:
    if task in (c.CATEGORY, "leaf"):
        names = catalogue.categories if task == c.CATEGORY else catalogue.leaves
        codes = catalogue.category if task == c.CATEGORY else catalogue.leaf
        return {row: [names[code]] for row, code in enumerate(codes) if names[code] != c.NO_CATEGORY}
    column = catalogue.frame[task]
    if isinstance(column.dtype, pl.List):
        lists = column.cast(pl.List(pl.String)).to_list()
        return {row: [x for x in labels if x] for row, labels in enumerate(lists) if labels and any(labels)}
    texts = column.cast(pl.String).str.strip_chars()
    return {row: [text] for row, text in enumerate(texts) if text}


def _masked(found: Mapping[int, Sequence[str]]) -> dict[int, list[str]]:
    """The distinct labels with personal data replaced, as it is in the titles."""
    every = pl.Series([*{label for labels in found.values() for label in labels}], dtype=pl.String)
    masked = dict(zip(every, mask(every), strict=True))
    return {row: [*dict.fromkeys(masked[label] for label in labels)] for row, labels in found.items()}


def split_by_class(
    labelled: Labelled, titles: Sequence[str], rng: np.random.Generator, share: float, per_class: int | None
) -> tuple[Labelled, Labelled]:
    """Items to train on and items to measure on; items of one title stay together.

    Every label is trained on, and measured too where no other label of a title speaks against it.

    Args:
        labelled: the items.
        titles: of every row.
        rng: of the draw.
        share: of each label's titles that are measured.
        per_class: items of each label that are trained on at most; ``None``: all.

    Raises:
        InputError: the items of a label have one title only, or there is one label only.
    """
    order = rng.permutation(len(labelled.rows))
    names = [titles[row] for row in labelled.rows]
    held = _held_titles(_titles_of_labels([(names[place], labelled.labels[place]) for place in order]), share)
    members: dict[str, list[int]] = {}
    for place in order:
        if names[place] not in held:
            for label in labelled.labels[place]:
                members.setdefault(label, []).append(int(place))
    chosen: set[int] = set()
    for places in members.values():
        have = sum(place in chosen for place in places)
        more = [place for place in places if place not in chosen]
        chosen |= set(more if per_class is None else more[: max(0, per_class - have)])
    measured = np.array([name in held for name in names])
    return labelled.take(np.array(sorted(chosen))), labelled.take(np.flatnonzero(measured))


def with_guesses(
    train: Labelled, held_out: Labelled, guessed: Labelled, titles: Sequence[str], per_class: int | None
) -> Labelled:
    """Items to train on, and those beside them whose labels are guesses.

    Left out are titles that are measured, labels that nobody else gave, and what is more than enough of a label.

    Args:
        train: items to train on.
        held_out: items that are measured.
        guessed: items with guesses.
        titles: of every row.
        per_class: items of each label that are trained on at most; ``None``: all.
    """
    measured = {titles[row] for row in held_out.rows}
    most = math.inf if per_class is None else per_class
    count = Counter(label for labels in train.labels for label in labels)
    found = dict(zip(train.rows.tolist(), train.labels, strict=True))
    for row, labels in zip(guessed.rows.tolist(), guessed.labels, strict=True):
        kept = tuple(label for label in labels if label in count)
        if titles[row] not in measured and any(count[label] < most for label in kept):
            found[row] = kept
            count.update(kept)
    return Labelled(np.array(sorted(found), dtype=np.int64), tuple(found[row] for row in sorted(found)))


def _titles_of_labels(examples: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, list[str]]:
    """Label → its distinct titles, in their order.

    Raises:
        InputError: a label has one title only, or there is one label only.
    """
    found: dict[str, dict[str, None]] = {}
    for title, labels in examples:
        for label in labels:
            found.setdefault(label, {})[title] = None
    if len(found) < 2:
        raise InputError(f"A classifier needs two labels; all items have {next(iter(found))!r}. Label some others.")
    lone = sorted(label for label, titles in found.items() if len(titles) < 2)
    if lone:
        raise InputError(
            f"The label {lone[0]!r} has one title ({len(lone)} such {'label' if len(lone) == 1 else 'labels'}); one to "
            "train on and one to measure on are needed. Label another, or leave such out: "
            "item_classification.min_items=2."
        )
    return {label: list(titles) for label, titles in found.items()}


def _held_titles(titles: dict[str, list[str]], share: float) -> set[str]:
    """A share of every label's titles; a label with few of them chooses first, and none gives away its last one."""
    left = {label: len(own) for label, own in titles.items()}
    labels: dict[str, list[str]] = {}
    for label, own in titles.items():
        for title in own:
            labels.setdefault(title, []).append(label)
    held: set[str] = set()
    for label in sorted(titles, key=lambda label: len(titles[label])):
        wanted = len(titles[label]) - max(1, round(share * len(titles[label])))
        for title in titles[label]:
            if left[label] > wanted and title not in held and all(left[other] > 1 for other in labels[title]):
                held.add(title)
                for other in labels[title]:
                    left[other] -= 1
    return held


def frequent(labelled: Labelled, titles: Sequence[str], least: int) -> Labelled:
    """The items without the labels that fewer than ``least`` titles have.

    Args:
        labelled: the items.
        titles: of every row.
        least: distinct titles.
    """
    named: dict[str, set[str]] = {}
    for row, labels in zip(labelled.rows, labelled.labels, strict=True):
        for label in labels:
            named.setdefault(label, set()).add(titles[row])
    kept = [tuple(label for label in labels if len(named[label]) >= least) for labels in labelled.labels]
    places = np.array([place for place, labels in enumerate(kept) if labels], dtype=np.int64)
    return Labelled(labelled.rows[places], tuple(kept[place] for place in places))
