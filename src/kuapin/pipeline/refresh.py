"""``refresh``: take in what is new, train again, and let the new model serve where it is no worse."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kuapin import columns as c
from kuapin.data.dataset import Dataset, build_dataset
from kuapin.errors import ModelFolderError
from kuapin.evaluation.drift import Moved, favourites_moved, scores_moved, share_moved, texts_moved
from kuapin.evaluation.gate import Verdict, judge
from kuapin.manifest import Route, Routing, part_of, read_manifest, read_routing
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline.challenge import everything_available, own_share, paired
from kuapin.pipeline.newest import newest_stretch
from kuapin.pipeline.onboard import write_part
from kuapin.pipeline.parts import in_order_of, keep_part
from kuapin.pipeline.stages import Stage, compare_stages, opened_again, still_young, young
from kuapin.pipeline.surfaces import fit_surfaces
from kuapin.pipeline.train import (
    ENCODER,
    NEWEST,
    Texts,
    described,
    fit,
    read_texts,
    tables_of,
    visible_of,
    write_default,
)
from kuapin.progress import SILENT, Progress
from kuapin.ranking.recommender import RANKER
from kuapin.storefront import FOLDER
from kuapin.workspace import Shop

CHALLENGES = "challenges.jsonl"
"""In ``models/``: one line a challenge, what was compared and what came of it; how often a champion was challenged is
counted from it."""
SAMPLED = 500
"""People, and items, by whom the drift of scores and texts is told."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh found and did.

    Attributes:
        champion: the release that was live before.
        release: the one that is live now; ``None``: the champion still is.
        verdicts: of the gate, by category; empty where nothing was new.
        new: categories that the champion did not know; the new model serves them.
        drift: what moved since the champion was trained.
        unseen: whether the champion had learnt from none of what was asked for.
        stages: categories that opened lately → where they stand; it holds where they pass.
        own_share: share of the people in whose lists the champion had what they took, see ``challenge.own_share``.
    """

    champion: str
    release: str | None
    verdicts: tuple[Verdict, ...] = ()
    new: tuple[str, ...] = ()
    drift: tuple[Moved, ...] = ()
    unseen: bool = True
    stages: Mapping[str, Stage] = field(default_factory=dict)
    own_share: float = float("nan")

    @property
    def nothing_new(self) -> bool:
        """Whether the tables were those that the champion was trained on."""
        return self.release is None and not self.verdicts and not self.new


def refresh(shop: Shop, *, force: bool = False, progress: Progress = SILENT) -> Refreshed:
    """Train on what lies before the newest stretch, compare on it with what is live, and publish what passes.

    A category in which a loss cannot be ruled out keeps the part that serves it. What goes live is trained again, on
    everything. Whatever ends the work before, the live release stays what it was.

    Args:
        shop: with a release.
        force: let the new model serve every category, whatever the gate says.
        progress: told of every step.

    Raises:
        ModelFolderError: nothing is live, or it is damaged.
        InputError: too few people came back to compare two models.
        StoreError: another training is running.
    """
    releases = Releases(shop.models, shop.config.releases)
    live = releases.open_live()
    manifest, routing = read_manifest(live), read_routing(live)
    with shop.run("train"):
        snapshot, dataset = tables_of(shop)
        if snapshot == manifest.snapshot and not force:
            return Refreshed(live.name, None)
        learnt_until = manifest.config.get(NEWEST)
        newest = newest_stretch(
            shop, learnt_until if isinstance(learnt_until, int) else None, shop.config.gate.least_users
        )
        champion = Model.load(shop, log=newest.before)
        dataset = in_order_of(dataset, champion.catalogue)
        read = read_texts(shop, dataset.catalogue, progress)
        before, after = (_dataset(dataset, part) for part in (newest.before, newest.after))
        champion = everything_available(champion, dataset.catalogue.items)
        drift = _drift(champion, read, before, after)
        fitted = fit(shop.config, before, read, progress=progress)
        challenger = Model("challenger", fitted.recommender, before.catalogue, before.users, before.histories)
        challenger = everything_available(challenger, dataset.catalogue.items)
        pairs, new = paired(champion, challenger, after, newest.users, seed=shop.config.seed, progress=progress)
        stages = compare_stages(
            shop,
            young(routing, manifest.config),
            (champion, challenger),
            before,
            after,
            newest.users,
            pairs,
            read,
            progress,
        )
        known = [name for name in dataset.catalogue.categories if name in champion.catalogue.categories]
        del champion, challenger, fitted  # their sources would lie in memory beside the final ones
        served = {name: _served_by(routing, live.name, name) for name in pairs}
        verdicts = judge(pairs, shop.config.gate, _looks(shop.models, served))
        passed = [verdict.category for verdict in verdicts if verdict.passes or force]
        release = None
        if passed or new:
            kept = [name for name in known if name not in passed]
            own = [name for name in passed if name in stages and stages[name].own]
            release = _publish(shop, releases, snapshot, dataset, read, live, kept, own, progress)
        done = Refreshed(
            live.name, release, tuple(verdicts), tuple(new), drift, newest.unseen, stages, own_share(pairs.values())
        )
        _record(shop.models, done, served)
    return done


def _dataset(whole: Dataset, log: pl.DataFrame) -> Dataset:
    """Part of the log in the catalogue of the whole, its users alone."""
    return replace(build_dataset(whole.catalogue.frame, log), catalogue=whole.catalogue)


def _publish(
    shop: Shop,
    releases: Releases,
    snapshot: str,
    dataset: Dataset,
    read: Texts,
    live: Path,
    kept: Sequence[str],
    own: Sequence[str],
    progress: Progress,
) -> str:
    """Train on everything, and publish it beside the parts that some categories keep, or have of their own.

    Returns:
        The release's name.
    """
    before, said = read_routing(live), read_manifest(live).config
    fitted = fit(shop.config, dataset, read, progress=progress)
    opened = {name: opened_again(shop, dataset, read, name, progress) for name in own}
    visible = visible_of(dataset, read)
    learned = fit_surfaces(visible, fitted.recommender, shop.store, dataset.users, shop.config, progress=progress)
    default = Route(encoder=ENCODER, ranker=RANKER)
    with progress.step("Writing the release"), releases.begin() as draft:
        write_default(draft.path, dataset.catalogue, read, fitted)
        learned.save(draft.path / FOLDER)
        routes: dict[str, Route] = {}
        for part in {part_of(before.of(name)) for name in kept}:
            names = [name for name in kept if part_of(before.of(name)) == part]
            name = _name_of(part, live.name)
            route = keep_part(live, before.of(names[0]), draft.path, name, dataset.catalogue, read)
            routes |= dict.fromkeys(names, route.model_copy(update={"encoder": default.encoder}))
        for name, opening in opened.items():
            routes[name] = write_part(draft.path, name, opening, dataset.catalogue, read, default)
        records = still_young(said, [name for name in young(before, said) if name in routes], opened)
        releases.publish(
            draft,
            routing=Routing(default=default, categories=routes),
            snapshot=snapshot,
            fingerprint=snapshot,
            config=described(shop.config, dataset, fitted) | records,
            metrics=fitted.metrics,
        )
    return draft.version


def _name_of(part: str, release: str) -> str:
    """The name under which a part is kept: that of the release that it was made for."""
    return release if part == "." else Path(part).name


def _served_by(routing: Routing, release: str, category: str) -> str:
    return _name_of(part_of(routing.of(category)), release)


def _looks(models: Path, served: Mapping[str, str]) -> dict[str, int]:
    """How often the part that serves a category has been challenged there, this time included."""
    looks = dict.fromkeys(served, 1)
    for challenge in _challenges(models):
        for verdict in challenge["verdicts"]:
            name = verdict["category"]
            if name in served and verdict["served_by"] == served[name] and verdict["decision"] != "too few users":
                looks[name] += 1
    return looks


def _challenges(models: Path) -> list[dict[str, Any]]:
    path = models / CHALLENGES
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise ModelFolderError(f"{path} is damaged ({error}). Restore it, or delete it to count afresh.") from error


def _record(models: Path, done: Refreshed, served: Mapping[str, str]) -> None:
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "champion": done.champion,
        "release": done.release,
        "new": list(done.new),
        "verdicts": [asdict(verdict) | {"served_by": served[verdict.category]} for verdict in done.verdicts],
    }
    with (models / CHALLENGES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False, allow_nan=True) + "\n")


def _drift(champion: Model, read: Texts, before: Dataset, after: Dataset) -> tuple[Moved, ...]:
    """What moved between the log that the champion knows and the newest stretch."""
    catalogue, n = after.catalogue, len(after.catalogue)
    old, new = before.histories, after.histories
    rng = np.random.default_rng(0)
    known = champion.catalogue.items.rows(catalogue.items.ids) >= 0
    return (
        share_moved("categories", catalogue.category[old.items], catalogue.category[new.items], catalogue.categories),
        share_moved("events", old.events.astype(np.int64), new.events.astype(np.int64), c.EVENTS),
        favourites_moved(old.items, new.items, n),
        texts_moved(*_distances(read.white, known, rng)),
        scores_moved(*(_scores(champion, part, rng) for part in (before, after))),
    )


def _distances(
    white: NDArray[np.float32], known: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1 - cosine to the nearest known item, of some known items (other than themselves) and of some that came."""
    old, came = np.flatnonzero(known), np.flatnonzero(~known)
    found = []
    for rows in (rng.permutation(old)[:SAMPLED], rng.permutation(came)[:SAMPLED]):
        alike = white[rows] @ white[old].T
        alike[rows[:, None] == old] = -1.0
        found.append(1 - alike.max(axis=1, initial=-1.0))
    return found[0], found[1]


def _scores(champion: Model, part: Dataset, rng: np.random.Generator) -> NDArray[np.float64]:
    """What the champion gives to the ten that it recommends to some of the people of a stretch."""
    users = part.users.ids.gather(np.sort(rng.permutation(len(part.users))[:SAMPLED]))
    return champion.recommend(users)[c.SCORE].to_numpy().astype(np.float64)
