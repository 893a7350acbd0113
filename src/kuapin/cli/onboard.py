"""``kuapin onboard``: open a category."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kuapin.cli.faults import plain_fault, say_faults
from kuapin.cli.import_ import Format
from kuapin.cli.output import (
    AsJson,
    Quiet,
    ShopFolder,
    open_shop,
    progress,
    remark,
    say,
    say_json,
    say_suspects,
    say_table,
)

if TYPE_CHECKING:
    from kuapin.pipeline.onboarded import Onboarded
    from kuapin.ranking.expectations import Expectations, Range

SERVES = {
    "popularity": "popularity: the same list for everybody, what many met first, and where nothing is seen what texts "
    "let expect",
    "text": "text: what reads like the things that somebody met before",
    "mixture": "the mixture: texts, popularity and what people met together, by fixed weights",
    "transfer": "transfer: all that is known of somebody, weighed as the openings of other categories taught",
}
"""Strategy → what is recommended, in words."""
SHOWN = 24


def onboard(
    folder: ShopFolder,
    items: Annotated[
        Path, typer.Argument(metavar="ITEMS", help="File with the items of the new category.", show_default=False)
    ],
    *,
    category: Annotated[
        str, typer.Option("--category", metavar="NAME", help="Its top-level name; items without a category get it.")
    ],
    source: Annotated[Format, typer.Option("--format", help="Whose layout the file has.")] = Format.AUTO,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Open a category in a trained shop: check and encode its items, measure what to expect, make the best list live.

    Ends with a verdict: what is recommended to whom, how good it is expected to be against popularity, by openings of
    the shop's other categories replayed, how far its texts lie from theirs, and what to promote first.
    """
    from kuapin.pipeline.onboard import onboard as open_in

    shop = open_shop(folder)
    done = open_in(shop, items, category, format=source.value, progress=progress(quiet=quiet or as_json))
    if as_json:
        say_json(_plain(done))
        return
    say_faults(done.faults)
    _say_served(done)
    say_suspects(folder, done.suspects)
    if done.opening.expectations is not None:
        _say_expected(done, done.opening.expectations)
        _say_negative_transfer(done, done.opening.expectations)
        _say_next(done, done.opening.expectations)
    _say_promoted(done)
    if done.read_otherwise:
        remark(
            "kuapin.toml names another language model than the live release has: texts were read by the release's. "
            f"To move to the other: kuapin refresh {folder}",
            quiet=quiet,
        )
    remark(
        f"Next: kuapin recommend {folder} --user USER_ID --category '{done.category}'  # look at a list", quiet=quiet
    )
    remark(f"      kuapin rollback {folder}  # close it again", quiet=quiet)


def _say_served(done: "Onboarded") -> None:
    from kuapin.counts import counted
    from kuapin.evaluation import wording

    say(f"{done.category} is open with {counted(done.items, 'item')}, in release {done.release}.")
    near = wording.listed(f"{name} ({wording.percent(share)})" for name, share in done.surroundings.near[:3])
    people = counted(done.people, "person", "people")
    say(
        f"To {people} with a history it recommends by {SERVES[done.opening.strategy]}. To everybody else it shows what "
        "is popular there by the log of today; where nothing was seen yet, what texts let expect. What people do there "
        "counts at once where lists follow a history, and in what is popular after kuapin refresh."
    )
    say(f"Its items read most like those of {near}: what people did there tells most of what they get here.")
    if done.opening.expectations is None:
        say("Nothing could be measured: too few people were in two parts of the shop. The mixture is what is left.")


def _say_expected(done: "Onboarded", found: "Expectations") -> None:
    from kuapin.evaluation import wording
    from kuapin.ranking.strategies import POPULARITY

    today, shot = done.opening.strategy, done.opening.shot
    say("")
    say(
        f"Expected, by {len(found.groups)} openings of other parts of the shop, replayed; of people who do enter. The "
        f"range is that of one more category, {wording.percent(found.confidence)} sure:"
    )
    levels = found.levels
    best = [today if level.shot == shot else level.best for level in levels]
    pairs = list(zip(levels, best, strict=True))
    say_table(
        {
            "seen of those who will enter": [wording.percent(level.shot) for level in levels],
            "people": [f"{level.seen[0]:,}" for level in levels],
            "best": best,
            "find something in ten": [wording.percent(round(level.hit_rate(one), 3)) for level, one in pairs],
            "NDCG@10": [f"{level.means(one).mean():.4f}" for level, one in pairs],
            "popularity": [f"{level.means(POPULARITY).mean():.4f}" for level in levels],
            "to popularity": [_ratio(found.ratio(one, level.shot)) for level, one in pairs],
        },
        right=("people", "find something in ten", "NDCG@10", "popularity"),
    )
    matched = found.matched(today, shot)
    if matched is not None and today != POPULARITY:
        people = f"{matched.seen[0]:,} people have been seen in the category"
        better = found.above_popularity(today, shot)
        say(f"Today's list is {'better than popularity even' if better else 'as good as popularity is'} when {people}.")
    if shot == 0:
        say(
            "On the first day popularity is only what texts let expect, which may be nearly nothing: read that day's "
            "ratio as better or not, and go by how many find something."
        )
    _say_size(done, found)
    _say_distance(done)


def _say_size(done: "Onboarded", found: "Expectations") -> None:
    from kuapin.counts import counted

    sizes = sorted(len(group) for group in found.groups)
    if not sizes[0] / 2 <= done.items <= 2 * sizes[-1]:
        how = "fewer" if done.items < sizes[0] else "more"
        easier = "more" if done.items < sizes[0] else "fewer"
        say(
            f"{done.category} has {counted(done.items, 'item')}, far {how} than the parts that were replayed "
            f"({sizes[0]:,} to {sizes[-1]:,}): {easier} people should find something among ten than the table says."
        )


def _say_distance(done: "Onboarded") -> None:
    from kuapin.evaluation import wording

    around = done.surroundings
    far = f"{done.category}'s texts lie {around.distance:.2f} from those of the shop (0: the same, 1: unrelated)."
    launches = sorted(around.rehearsed, key=lambda one: one.distance)
    if not around.as_far:
        far += (
            f" Nothing so far away was replayed; the farthest, {launches[-1].name}, is at {launches[-1].distance:.2f}."
        )
        launches = launches[-1:]
    else:
        launches = sorted(launches, key=lambda one: abs(one.distance - around.distance))[:3]
    told = wording.listed(f"{one.name} (at {one.distance:.2f}) {wording.times(one.ratio)}" for one in launches)
    say(f"{far} On a day like today the same list was, to popularity: {told}.")


def _say_negative_transfer(done: "Onboarded", found: "Expectations") -> None:
    for lost in found.negative_transfer(done.opening.shot):
        told = "Negative transfer" if lost.ratio.high < 1 else "Perhaps negative transfer, or chance"
        say(
            f"{told}: weighed as other openings taught, lists were {_ratio(lost.ratio)} those of "
            f"{lost.against}, worse in {lost.worse:.0%} of the replayed openings."
        )


def _say_next(done: "Onboarded", found: "Expectations") -> None:
    from kuapin.counts import counted

    stage = found.next_stage(done.opening.strategy, done.opening.shot)
    if stage is None:
        say("No later list was better than today's in most of the replayed openings.")
        return
    people, events = counted(stage.people, "person", "people"), counted(stage.interactions, "interaction")
    same = stage.strategy == done.opening.strategy
    what = f"{stage.strategy}{', trained on them,' if same else ''}"
    clear = "Next stage" if stage.gain.low > 1 else "No clear gain at any later level. The first that looks better"
    say(
        f"{clear}: with about {people} ({events}) in it, {what} is {_ratio(stage.gain)} of today's list; it was "
        f"better in {stage.sure:.0%} of the replayed openings."
    )


def _say_promoted(done: "Onboarded") -> None:
    from kuapin import columns as c

    table = done.surroundings.promote.head(SHOWN)
    say("")
    say("To promote first, so that what people do tells most about the rest:")
    shown = {"item": table[c.ITEM_ID].to_list()}
    if c.TITLE in table.columns:
        shown["title"] = table[c.TITLE].fill_null("").to_list()
    say_table(shown, cut=("title",))


def _ratio(found: "Range") -> str:
    from kuapin.evaluation import wording

    value = wording.times(found.value)
    ends = [found.low, found.high]
    return value if any(end != end for end in ends) else f"{value} ({' – '.join(map(wording.factor, ends))})"


def _plain(done: "Onboarded") -> dict[str, Any]:
    from dataclasses import asdict

    from kuapin.pipeline.onboarded import expected_json, negative_transfer_json, range_json

    found, around = done.opening.expectations, done.surroundings
    stage = found.next_stage(done.opening.strategy, done.opening.shot) if found else None
    matched = found.matched(done.opening.strategy, done.opening.shot) if found else None
    return {
        "release": done.release,
        "category": done.category,
        "items": done.items,
        "people": done.people,
        "shot": done.opening.shot,
        "strategy": done.opening.strategy,
        "expected": expected_json(found) if found else None,
        "negative_transfer": negative_transfer_json(found, done.opening.shot) if found else [],
        "as_good_as_popularity_of_people": matched.seen[0] if matched else None,
        "better_than_popularity_at_all_levels": bool(
            found and found.above_popularity(done.opening.strategy, done.opening.shot)
        ),
        "replayed_items": [len(group) for group in found.groups] if found else [],
        "distance": around.distance,
        "so_far_seen": bool(around.as_far),
        "near": [{"category": name, "share": share} for name, share in around.near],
        "rehearsed": [asdict(one) for one in around.rehearsed],
        "next_stage": None if stage is None else asdict(stage) | {"gain": range_json(stage.gain)},
        "promote": around.promote.to_dicts(),
        "not_learnt_from": dict(done.suspects),
        "faults": [plain_fault(fault) for fault in done.faults],
        "seconds": round(done.seconds, 2),
    }
