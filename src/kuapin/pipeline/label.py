"""``label``: a file of the items whose labels would teach most, or of labels that a tuned classifier is sure of."""

import warnings
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from kuapin import columns as c
from kuapin.counts import counted
from kuapin.data.dataset import build_catalogue
from kuapin.data.readers import read_table
from kuapin.encoding.backbone import CHANGE
from kuapin.errors import InputError, ModelFolderError
from kuapin.finetuning.change import DESCRIPTION, Change, read_change
from kuapin.finetuning.labelled import PSEUDO, guesses_of, labels_of
from kuapin.finetuning.labelling import worth_labelling
from kuapin.names import offered
from kuapin.pipeline.ensemble import CLASSIFIER, is_member, said_together
from kuapin.text.template import render_titles
from kuapin.workspace import Shop

GUESS, CONFIDENCE = "guess", "confidence"


@dataclass(frozen=True)
class Sheet:
    """Items to be labelled, or labelled by the classifier.

    Attributes:
        model: folder in ``shop/backbones`` that was asked.
        task: of the labels.
        rows: ``item_id``, ``task``, ``label``, ``title``, ``guess``, ``confidence``, ``source``; the most worth first.
    """

    model: str
    task: str
    rows: pl.DataFrame


def answers(table: pl.DataFrame) -> pl.DataFrame:
    """The labels of a sheet that came back: ``item_id``, ``task``, ``label``, ``source``; open rows are left out.

    White space around a label is none of it. A guess that was exchanged for another label is no guess any more.

    Args:
        table: as ``Sheet.rows``; ``guess`` and ``source`` may lack.
    """
    nothing, label = pl.lit(None, pl.String), pl.col(c.LABEL).cast(pl.String).str.strip_chars()
    source = pl.col(c.SOURCE).cast(pl.String) if c.SOURCE in table.columns else nothing
    if GUESS in table.columns:
        source = pl.when(label == pl.col(GUESS).cast(pl.String).str.strip_chars()).then(source)
    kept = table.select(pl.col(c.ITEM_ID, c.TASK).cast(pl.String), label, source.alias(c.SOURCE))
    return kept.filter(pl.col(c.LABEL).fill_null("") != "")


def new_labels(shop: Shop, answered: pl.DataFrame) -> dict[str, list[str]]:
    """Task → those of its labels that no item of the shop has; nothing of tasks that have no label yet.

    Args:
        shop: before it reads them.
        answered: as ``answers`` gives them.
    """
    catalogue, table = build_catalogue(shop.store.read(c.ITEMS)), shop.store.read(c.LABELS)
    found = {}
    for task in answered[c.TASK].unique().sort():
        known, said = (set(chain(*labels_of(catalogue, one, task).values())) for one in (table, answered))
        if known and said - known:
            found[task] = sorted(said - known)
    return found


def check_replaceable(shop: Shop, path: Path) -> None:
    """Raise ``InputError`` where a file is no sheet, or one with labels that were not read back yet."""
    if not path.is_file() or not path.stat().st_size:
        return
    table = read_table(path)
    if not {c.ITEM_ID, c.TASK, c.LABEL, GUESS} <= set(table.columns):
        raise InputError(f"{path} is there already and is no sheet of kuapin label. Name another file with --output.")
    filled = answers(table).join(shop.store.read(c.LABELS), on=[c.ITEM_ID, c.TASK, c.LABEL], how="anti").height
    if filled:
        raise InputError(
            f"{path} has {counted(filled, 'label')} that the shop does not have yet. Read the file back: kuapin label "
            f"{shop.path} --read {path}; or name another file with --output."
        )


def suggested(shop: Shop, n: int, model: str | None = None) -> Sheet:
    """The items whose labels would teach most, ``label`` left empty.

    Args:
        shop: with a tuned classifier.
        n: how many.
        model: folder in ``shop/backbones``; ``None``: the newest classifier.

    Raises:
        InputError: there is no such classifier, or every item is labelled.
    """
    asked = _asked(shop, model)
    rows = worth_labelling(asked.chances, asked.kind, asked.vectors, asked.known, asked.free, n)
    return asked.sheet(rows)


def pseudo_labelled(shop: Shop, least: float, model: str | None = None) -> Sheet:
    """The unlabelled items whose best label the classifier gives at least so much probability, ``label`` filled.

    Pseudo-labels (Lee 2013). Of several labels an item gets the best alone.

    Args:
        shop: with a tuned classifier.
        least: probability.
        model: folder in ``shop/backbones``; ``None``: the newest classifier.

    Raises:
        InputError: there is no such classifier, every item is labelled, or it is so sure of none.
    """
    asked = _asked(shop, model)
    best = asked.chances[asked.free].max(axis=1)
    if best.max() < least:
        raise InputError(
            f"{asked.model} gives no unlabelled item a label with a probability of {least:g}; the surest has "
            f"{best.max():.4f}. Lower --pseudo, or label some more: kuapin label {shop.path} "
            "--suggest 50"
        )
    sure = asked.free[best >= least]
    order = np.argsort(-asked.chances[sure].max(axis=1), kind="stable")
    return asked.sheet(sure[order], filled=True)


@dataclass(frozen=True)
class _Asked:
    model: str
    task: str
    kind: str
    labels: tuple[str, ...]
    ids: pl.Series
    titles: tuple[str, ...]
    chances: np.ndarray
    vectors: np.ndarray
    known: np.ndarray
    free: np.ndarray

    def sheet(self, rows: np.ndarray, *, filled: bool = False) -> Sheet:
        best = self.chances[rows].argmax(axis=1)
        frame = pl.DataFrame(
            {
                c.ITEM_ID: self.ids.gather(rows.tolist()),
                c.TASK: [self.task] * len(rows),
                c.TITLE: [self.titles[row] for row in rows],
                GUESS: [self.labels[place] for place in best],
                CONFIDENCE: self.chances[rows, best].round(4).tolist(),
            },
            schema_overrides={c.TASK: pl.String, c.TITLE: pl.String, GUESS: pl.String, CONFIDENCE: pl.Float64},
        )
        nothing = pl.lit(None, pl.String)
        label, source = (pl.col(GUESS), pl.lit(PSEUDO)) if filled else (nothing, nothing)
        told = frame.with_columns(label.alias(c.LABEL), source.alias(c.SOURCE))
        columns = (c.ITEM_ID, c.TASK, c.LABEL, c.TITLE, GUESS, CONFIDENCE, c.SOURCE)
        return Sheet(self.model, self.task, told.select(columns))


def _asked(shop: Shop, model: str | None) -> _Asked:
    folder, change = _classifier(shop, model)
    dataset = shop.dataset()
    catalogue = dataset.catalogue
    titles = render_titles(catalogue.frame, shop.config.text).to_list()
    chances, vectors = said_together(folder, titles)
    task = change.settings.item_classification.task
    labelled = np.zeros(len(titles), np.bool_)
    table = shop.store.read(c.LABELS)
    labelled[[*labels_of(catalogue, table, task), *guesses_of(catalogue, table, task)]] = True
    titled = np.array([bool(title) for title in titles])
    known, free = np.flatnonzero(labelled), np.flatnonzero(~labelled & titled)
    if not len(free):
        raise InputError(f"Every item with a title has a label of {task!r}: there is nothing to suggest.")
    labels = tuple(change.facts["labels"])
    ids = catalogue.frame[c.ITEM_ID]
    return _Asked(
        folder.name, task, change.facts["kind"], labels, ids, tuple(titles), chances, vectors, known, free
    )  # fmt: skip


def _classifier(shop: Shop, model: str | None) -> tuple[Path, Change]:
    """The folder of a tuned classifier and what it says of itself; the newest where none is named."""
    found: dict[str, tuple[Path, Change]] = {}
    torn = []
    for path in sorted(shop.backbones.glob(f"[!.]*/{CHANGE}/{DESCRIPTION}"), key=lambda one: one.stat().st_mtime_ns):
        folder = path.parent.parent
        try:
            change = read_change(path.parent)
        except ModelFolderError:
            if folder.name == model:
                raise
            torn.append(folder.name)
            continue
        if change.settings.objective == CLASSIFIER and not is_member(folder):
            found[folder.name] = (folder, change)
    if torn and model is None:
        warnings.warn(f"Left out, because what they say of themselves cannot be read: {', '.join(torn)}.", stacklevel=2)
    if not found:
        raise InputError(
            "This shop has no tuned classifier. Import some labels and run: kuapin finetune SHOP --objective "
            f"{CLASSIFIER} --set item_classification.task=TASK"
        )
    if model is None:
        return list(found.values())[-1]
    if model not in found:
        raise InputError(f"--model {model}: this shop has no such classifier. " + offered(model, [*found], "models"))
    return found[model]
