"""``refresh``: take in what is new, go on or train anew, and let the new model serve where it is no worse."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import JsonValue

import kuapin
from kuapin import columns as c
from kuapin.data.dataset import Dataset, build_dataset
from kuapin.data.suspects import find_suspects
from kuapin.evaluation.drift import Moved, favourites_moved, scores_moved, share_moved, texts_moved
from kuapin.evaluation.gate import Verdict, judge
from kuapin.manifest import Manifest, Route, Routing, part_of, read_manifest, read_routing
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline.challenge import everything_available, own_share, paired, shown_share, together
from kuapin.pipeline.challenges import read_challenges, record_challenge, refused_before
from kuapin.pipeline.forget import finish
from kuapin.pipeline.going_on import WENT_ON, default_of, went_on, whitened_as, why_anew
from kuapin.pipeline.newest import Newest, newest_stretch
from kuapin.pipeline.onboard import OPENED, write_part
from kuapin.pipeline.parts import identity, in_order_of, keep_part
from kuapin.pipeline.served_worse import held_back, lift
from kuapin.pipeline.stages import Stage, compare_stages, opened_again, still_young, young
from kuapin.pipeline.surfaces import fit_surfaces
from kuapin.pipeline.suspects_report import write_suspects
from kuapin.pipeline.train import (
    ENCODER,
    NEWEST,
    Texts,
    described,
    fit,
    learnable,
    read_texts,
    tables_of,
    visible_of,
    write_default,
)
from kuapin.pipeline.tuned_encoder import Tuned, can_tune, tuned, wants_tuning
from kuapin.progress import SILENT, Progress
from kuapin.ranking.live import Fitted, go_on_live
from kuapin.ranking.recommender import RANKER, Recommender
from kuapin.ranking.strategies import Strategy
from kuapin.storefront import FOLDER
from kuapin.workspace import Shop

MEASURED_ON = "held_out_users"
"""Metric of a release that was measured in training."""
WHOLE_SHOP = "(whole shop)"
MOST_NAMED = 8
"""Categories that a note names."""
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
        cut: unix seconds from which on it was asked for; ``None``: the log has no times.
        forced: whether the gate was overruled.
        stages: categories that opened lately → where they stand; it holds where they pass.
        nothing_new: whether the tables were those that the champion was trained on.
        refused_at: when the gate refused on the same tables, with the same settings, so that nothing was trained and no
            look was spent; ``None``: it did not.
        anew: why everything was trained anew, in words; ``None``: it went on from the champion.
        encoder: the language model that was tuned for what moved and now reads, a folder in ``backbones``.
        untuned: why it could not be tuned; ``None``: it was, or nothing asked for it.
        held: categories that stay whatever the gate says, for fine-tuning found that the encoder serves them worse →
            what it measured.
        passed: what of ``verdicts`` the new model serves.
        kept: categories that keep what they had, those where nobody could be asked among them.
        suspects: what of the log taught nothing and was not asked for, see ``Suspects.named``.
        own_share: share of the people in whose lists the champion had what they took, see ``challenge.own_share``; NaN
            where it had learnt from what was asked for.
        shown_share: share of what was taken that the champion had shown to the same people before, by the log's
            impressions; NaN where there are none since it was trained, or where it had learnt from what was asked for.
    """

    champion: str
    release: str | None
    verdicts: tuple[Verdict, ...] = ()
    new: tuple[str, ...] = ()
    drift: tuple[Moved, ...] = ()
    unseen: bool = True
    cut: int | None = None
    forced: bool = False
    stages: Mapping[str, Stage] = field(default_factory=dict)
    suspects: Mapping[str, JsonValue] = field(default_factory=dict)
    own_share: float = float("nan")
    shown_share: float = float("nan")
    nothing_new: bool = False
    refused_at: str | None = None
    anew: str | None = None
    encoder: str | None = None
    untuned: str | None = None
    held: Mapping[str, str] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def refresh(shop: Shop, *, force: bool = False, full: bool = False, progress: Progress = SILENT) -> Refreshed:
    """Learn what lies before the newest stretch, compare on it with what is live, and publish what passes.

    It goes on from the live release where ``going_on.why_anew`` has nothing against it. A category in which a loss
    cannot be ruled out keeps the part that serves it, and so does one that fine-tuning found served worse by the
    encoder that it would move to. What goes live has learnt from everything. A category that the
    live release does not know is served by the new model in any case. Where either model could not be measured, its
    scores are no probabilities, which cannot be put in one order with others: then the shop is judged, and replaced or
    left, as a whole. Whatever ends the work before, the live release stays.

    Args:
        shop: with a release.
        force: let the new model serve every category, whatever the gate and fine-tuning say, then and later.
        full: train everything anew.
        progress: told of every step.

    Raises:
        ModelFolderError: nothing is live, or it is damaged.
        InputError: too few people came back to compare two models.
        StoreError: another training is running.
    """
    releases = Releases(shop.models, shop.config.releases)
    with shop.run("train") as run:
        live = releases.open_live()
        manifest, routing = read_manifest(live), read_routing(live)
        held = {} if force else held_back(shop, live)
        challenges = read_challenges(shop.models)
        snapshot, dataset = tables_of(shop)
        if snapshot == manifest.snapshot and _read_alike(manifest, shop) and not force:
            return Refreshed(live.name, None, nothing_new=True)
        asked = _asked(shop, snapshot, held, full=full)
        refused_at = refused_before(challenges, live.name, asked)
        if refused_at is not None and not force:
            return Refreshed(live.name, None, refused_at=refused_at)
        newest = newest_stretch(shop, learnt_until(manifest.config), shop.config.gate.least_users)
        champion = Model.load(shop, version=live.name, log=newest.before)
        dataset = in_order_of(dataset, champion.catalogue)
        read = read_texts(shop, dataset.catalogue, progress)
        before, after = (_dataset(dataset, part) for part in (newest.before, newest.after))
        champion = everything_available(champion, dataset.catalogue.items)
        suspects = find_suspects(dataset.histories, shop.config.live.suspects)
        after = suspects.left_out(after, dataset)
        drift = _drift(champion, read, suspects.left_out(before, dataset), after)
        started = default_of(champion.recommender)
        anew = "it was asked for" if full else why_anew(shop, manifest, live, dataset, newest, drift, started, read)
        language: Tuned | str | None = None
        if anew is None:
            read = whitened_as(read, live)
            fitted = _gone_on(shop, before, read, started, _known(manifest), run, progress)
        else:
            if wants_tuning(shop, drift):
                language = tuned(shop, suspects.left_out(before, dataset), newest, progress)
            if isinstance(language, Tuned):
                shop = language.shop
                read = read_texts(shop, dataset.catalogue, progress)
            fitted = fit(shop.config, before, read, run, progress=progress)
        challenger = Model("challenger", fitted.recommender, before.catalogue, before.users, before.histories)
        challenger = everything_available(challenger, dataset.catalogue.items)
        pairs = paired(champion, challenger, after, newest.users, seed=shop.config.seed, progress=progress)
        mixes = _mixes(manifest, fitted, shop)
        stages: dict[str, Stage] = {}
        if mixes:
            opened_lately, models = young(routing, manifest.config), (champion, challenger)
            stages = compare_stages(shop, opened_lately, models, before, after, newest.users, pairs, read, progress)
        elif pairs:
            pairs = {WHOLE_SHOP: together(pairs)}
        new = [name for name in dataset.catalogue.categories if name not in champion.catalogue.categories]
        known = [name for name in dataset.catalogue.categories if name in champion.catalogue.categories]
        held = {name: why for name, why in held.items() if name in known}
        start = None if anew else fitted
        del champion, challenger, fitted, started  # their sources would lie in memory beside the final ones
        served = {name: identity(manifest, part_of(routing.of(name))) for name in pairs}
        looks = _looks(challenges, served)
        looks |= {name: looks[name] + 1 for name in stages}  # the better of two was chosen by what it is judged on
        verdicts = judge(pairs, shop.config.gate, looks)
        if not newest.unseen:  # the champion has learnt the answers: that it finds more of them is no loss
            verdicts = [replace(one, decision="undecided") if one.decision == "loses" else one for one in verdicts]
        staying = {*held, WHOLE_SHOP} if held else set()
        passed = [one.category for one in verdicts if force or (one.passes and one.category not in staying)]
        refused = not (passed or (new and mixes) or force)
        lasting = refused and not isinstance(language, str)  # a tuning that failed may go well the next time
        record_challenge(shop.models, live.name, verdicts, served, drift, refused=asked if lasting else None)
        release, kept = None, [name for name in known if name not in passed] if mixes and not force else []
        if not refused:
            own = {name: by for name in passed if name in stages and (by := stages[name].own)}
            release, lost = _publish(
                shop, releases, snapshot, dataset, read, live, kept, own, start, language, run, progress
            )
            passed, kept = [name for name in passed if name not in lost], [*kept, *lost]
            if force:
                lift(shop)
            finish(shop)
        named = write_suspects(shop, suspects.named(dataset))
        if isinstance(language, Tuned):
            language.tidy(served=release is not None)
        return Refreshed(
            champion=live.name,
            release=release,
            verdicts=tuple(verdicts),
            new=tuple(new) if release else (),
            drift=drift,
            unseen=newest.unseen,
            cut=newest.cut,
            forced=force,
            stages=stages,
            suspects=named,
            own_share=own_share(pairs.values()) if newest.unseen else float("nan"),
            shown_share=_shown_share(shop, manifest, newest, after),
            anew=anew,
            encoder=language.name if isinstance(language, Tuned) and release else None,
            untuned=language if isinstance(language, str) else None,
            held=held,
            passed=tuple(passed),
            kept=tuple(kept if release else known),
        )


def _shown_share(shop: Shop, manifest: Manifest, newest: Newest, after: Dataset) -> float:
    since = learnt_until(manifest.config)
    if since is None or not newest.unseen or newest.cut is None:
        return float("nan")
    columns = [c.USER_ID, c.ITEM_ID, c.EVENT, c.TIMESTAMP]
    return shown_share(shop.store.read(c.INTERACTIONS, columns), after, since)


def _gone_on(
    shop: Shop,
    dataset: Dataset,
    read: Texts,
    recommender: Recommender,
    metrics: Mapping[str, float],
    run: Path,
    progress: Progress,
) -> Fitted:
    visible = visible_of(dataset, read, run)
    return go_on_live(visible, recommender, metrics, live=shop.config.live, progress=progress)


def _known(manifest: Manifest) -> dict[str, float]:
    return {name: value for name, value in manifest.metrics.items() if value is not None}


def _mixes(manifest: Manifest, fitted: Fitted, shop: Shop) -> bool:
    """Whether parts of the live release can stand beside the new model: both were measured, and items are alike texts.

    The encoders may differ: a part takes its own along.
    """
    alike = manifest.config.get("text") == shop.config.text.model_dump(mode="json")
    return alike and all(measured.get(MEASURED_ON) for measured in (manifest.metrics, fitted.metrics))


def _read_alike(manifest: Manifest, shop: Shop) -> bool:
    """Whether the live release and the one to come have the same encoder."""
    return bool(manifest.config.get("encoding") == shop.config.encoding.model_dump(mode="json"))


def learnt_until(config: Mapping[str, JsonValue]) -> int | None:
    """Up to when a release has learnt, in any of its parts; ``None``: its log has no times."""
    opened, newest = config.get(OPENED), config.get(NEWEST)
    records = opened.values() if isinstance(opened, dict) else ()
    known = [newest, *(record.get(NEWEST) for record in records if isinstance(record, dict))]
    return max((one for one in known if isinstance(one, int)), default=None) if isinstance(newest, int) else None


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
    own: Mapping[str, Strategy],
    start: Fitted | None,
    language: Tuned | str | None,
    run: Path,
    progress: Progress,
) -> tuple[str, list[str]]:
    """Learn from everything, and publish it beside the parts that some categories keep, or have of their own.

    ``start`` is gone on from; ``None``: everything is trained anew. ``run`` is the folder of the work in progress.

    Returns:
        The release's name, and the categories that keep what they had because the strategy that passed for them cannot
        be had on the whole log.
    """
    before, manifest = read_routing(live), read_manifest(live)
    said, alike = manifest.config, _read_alike(manifest, shop)
    if start is None:
        fitted = fit(shop.config, dataset, read, run, progress=progress)
    else:
        fitted = _gone_on(shop, dataset, read, start.recommender, start.metrics, run, progress)
    opened = {name: opened_again(shop, dataset, read, name, by, progress) for name, by in own.items()}
    lost = [name for name, opening in opened.items() if opening.strategy != own[name]]
    opened, kept = {name: one for name, one in opened.items() if name not in lost}, [*kept, *lost]
    visible = learnable(dataset, read, fitted.suspects)
    learned = fit_surfaces(visible, fitted.recommender, shop.store, dataset.users, shop.config, progress=progress)
    default = Route(encoder=ENCODER, ranker=RANKER)
    with progress.step("Writing the release"), releases.begin() as draft:
        write_default(draft.path, dataset.catalogue, read, fitted)
        learned.save(draft.path / FOLDER)
        routes: dict[str, Route] = {}
        for part in {part_of(before.of(name)) for name in kept}:
            names = [name for name in kept if part_of(before.of(name)) == part]
            name = _name_of(part, live.name)
            old = before.of(names[0])
            own_encoder = not alike or old.encoder != before.default.encoder
            route = keep_part(
                live, old, draft.path, name, dataset.catalogue, read, shop.config.text, own_encoder=own_encoder
            )
            update = {} if own_encoder else {"encoder": default.encoder}
            routes |= dict.fromkeys(names, route.model_copy(update=update))
        for name, opening in opened.items():
            routes[name] = write_part(draft.path, name, opening, dataset.catalogue, read, default)
        records = still_young(said, [name for name in young(before, said) if name in routes], opened)
        releases.publish(
            draft,
            routing=Routing(default=default, categories=routes),
            snapshot=snapshot,
            fingerprint=snapshot,
            config=_told(described(shop.config, dataset, fitted), kept, None if start is None else live.name)
            | records
            | {WENT_ON: 0 if start is None else went_on(manifest) + 1},
            metrics=fitted.metrics,
            activate=False,
        )
        if isinstance(language, Tuned) and releases.live() == live.name:
            language.keep()
        releases.activate(draft.version, after=live.name)
    return draft.version, lost


def _told(config: dict[str, JsonValue], kept: Sequence[str], before: str | None) -> dict[str, JsonValue]:
    """What the manifest says, with what it went on from and the categories that keep what they had in its note."""
    if before is not None:
        config = config | {"note": f"{config.get('note') or ''} Went on from {before}: its ranker, its figures."}
    if not kept:
        return config
    names = ", ".join(kept[:MOST_NAMED]) + (f" and {len(kept) - MOST_NAMED} more" if len(kept) > MOST_NAMED else "")
    return config | {"note": f"{config.get('note') or ''} By earlier parts: {names}.".strip()}


def _name_of(part: str, release: str) -> str:
    """The name under which a part is kept: that of the release that it was made for."""
    return release if part == "." else Path(part).name


def _asked(shop: Shop, snapshot: str, held: Mapping[str, str], *, full: bool) -> str:
    """Hash of the tables, the settings, what is held back and what is installed; not of a backbone's own files."""
    asked = kuapin.__version__, snapshot, shop.config.model_dump_json(), sorted(held), full, can_tune()
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def _looks(challenges: Sequence[Mapping[str, Any]], served: Mapping[str, str]) -> dict[str, int]:
    """How often the part that serves a category has been challenged there, this time included."""
    looks = dict.fromkeys(served, 1)
    for challenge in challenges:
        for verdict in challenge["verdicts"]:
            name = verdict["category"]
            if name in served and verdict["served_by"] == served[name] and verdict["decision"] != "too few users":
                looks[name] += 1
    return looks


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
