"""Writes ``benchmarks/README.md`` from the results that lie beside it: figures are never copied by hand.

python -m benchmarks.tables
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS
from kuapin.pipeline.report_home import MEASURED

PAGE = RESULTS.parent / "README.md"
ABOUT = {
    "encoding": (
        "Texts per second against sentence-transformers' default `encode`, on the same titles in the same run, and the "
        "share of its ten nearest neighbours that is kept. Asked for: int8 ≥ 5 × with ≥ 0.95, bf16 ≥ 2.5 × with ≥ 0.99."
    ),
    "index": (
        "Nearest neighbours among 100,000 × 384 vectors of real titles, one query at a time; faiss in the same run. "
        "Asked for: exact p50 ≤ 10 ms; HNSW p50 ≤ 1 ms at recall@10 ≥ 0.98."
    ),
    "launch": (
        "A category opens. NDCG@10 over its full catalogue, of users who are in no training, against the best single "
        "baseline at the same shot level. Asked for over five seeds: ratio ≥ 1.7 / 1.15 / 1.2 / 1.5 at shot 0 / 1 % / "
        "10 % / 100 %, lower ends ≥ 1; a cell ≤ 4 minutes. `ranker_only` is the same: no launch asks the user model."
    ),
    "onboard": "`kuapin onboard` of 10,000 items in a trained shop, with encoding. Asked for: ≤ 120 s on two cores.",
    "expectations": (
        "Second-level categories open in turn: does the range that `kuapin onboard` tells hold the ratio to popularity "
        "that is found (`covered`, asked for .95)? `regret` is what was chosen to what would have been best."
    ),
    "leave_one_out": (
        "The user model on the papers' Beauty and Sports, last item, full catalogue, at most 50 read. Asked for: "
        "NDCG@10 above SASRec with sampled softmax as published, .0531 and .0314; ≤ 60 minutes of training each. Our "
        "own SASRec (`sasrec_ss`), to which `ratio` is, stays 9 % and 19 % below the published one."
    ),
    "running_shop": (
        "The ranker of the running shop with and without the user model, and the best baseline, on the same users: the "
        "last tenth of the log, on Beauty the last item of everybody. `read`: whether the ranker kept the user model."
    ),
    "cold_items": (
        "Items that nobody met in training beside those that people did, on Beauty: recall@10, NDCG@10, full "
        "catalogue; `within` ranks the cold ones alone."
    ),
    "cost": (
        "The user model's training against the size of catalogue (`items`, a log of a million) and log (`log`, 100,000 "
        "items): seconds of the processor a pass, all else once, peak memory, and the slope between sizes (1: linear). "
        "Vectors of users, histories of 50. Asked for: one_user_ms ≤ 2, batch_2000_s ≤ 1 on two cores."
    ),
    "refreshing": (
        "After 80 % and 90 % of a log a shop trained on 70 % is refreshed: `gone_on` from what was there, or trained "
        "`anew`, or not at all (`stale`). NDCG@10 of the next tenth of the log, ratios to `anew`, seconds of a fit."
    ),
    "other_shop": (
        "A user model trained on arts_office starts another shop, 100 %, 10 % and 1 % of whose users are learnt from: "
        "NDCG@10 of the user model alone, of what was new to people in the last tenth of the log; `ratio` to one from "
        "scratch. Asked for: above 1."
    ),
    "diversity": (
        "The dial from more of the same (below 0) over the ranker's order (0) to discovery: NDCG@10 and its change "
        "(`cost`), category entropy in bits, intra-list distance of the texts, novelty, coverage, share met before."
    ),
    "safety": (
        "Planted harmful listings whose words no filter knows: their share of the first ten places, and real titles "
        "blocked. Asked for: shown_share ≤ 0.01, false_blocks ≤ 0.002."
    ),
    "reasons": (
        "Rows whose reason names something of the user's own, and how often taking it away lowers the row. Asked for: "
        "specific_share ≥ 0.9, deletion_holds ≥ 0.9."
    ),
    "strategies": (
        "A simulated shop with known preferences: what home pages that follow each person earn against the best mix "
        "for all (`ratio`, asked for ≥ 1.1; `online.ratio` with its learning), and in how many runs an off-policy "
        "estimate covers the truth."
    ),
    "calibration": (
        "Promised probabilities against what came, by category: expected calibration error (asked for ≤ .02), "
        "what chance alone would show if every promise were true, and what came to what was promised."
    ),
    "similar": (
        "The ten items that could best stand in for one: share of its leaf category and brand, and how many of the ten "
        "items that most people met with it are among them, by the other half of the people."
    ),
    "graph": (
        "What the knowledge graph adds as a source of the ranker, and alone: NDCG@10 of all that users did next and of "
        "what was new to them. No set at hand has relations between items."
    ),
    "fairness": (
        "Share of the first ten places by brand size and price level, beside what the same users chose and the "
        "catalogue; and NDCG@10 by group of users (`others`: of the other groups of its column)."
    ),
    "finetuning": (
        "A category opens and text alone is read, at shot 0, NDCG@10 over its full catalogue: the encoder tuned on the "
        "source category (`kuapin finetune --preset launch`, which fits pooling and whitening and makes no step) "
        "against the best of six readings of the frozen one; `whitened` is the last layer alone, whitened. "
        "`ranker_zero_shot`: the main job's ranker on it, against the same on the frozen one. Asked for: ratio ≥ 1.25, "
        "lower end > 1, ≤ 45 minutes of training; what training gives: `finetuning_best`."
    ),
    "classification": (
        "Titles → categories from K labels a class, macro-F1 on every title that is in no draw; mean of two sets. "
        "`top-layers` is the preset `few-labels`, with 20, 15, 10 and 3 passes at 1, 5, 20 and 100 labels; `gain` is "
        "its lead over the best baseline, `ensemble_gain` that of five of them, which differ in their seeds. Asked "
        "for: a fine-tuned model, or an ensemble of such, above it at 20 and 100, beyond the interval. At 1 and 5 "
        "there is no gain: log of the 29th, on 2,000 titles a set."
    ),
    "finetuning_strategies": (
        "What each strategy trains, costs and brings: co-interaction, 60 steps of 32 pairs on MiniLM, MRR of users who "
        "were not in it."
    ),
    "finetuning_matrix": (
        "Every objective with every strategy for three steps, saved, loaded again and exported: share of the ten "
        "nearest titles that the exported encoder keeps, bf16 / int8. Asked for: ≥ 0.99 / ≥ 0.95."
    ),
    "finetuning_depth_objective": (
        "Every objective, its top layers tuned in as many steps, one seed: NDCG@10 of text alone at an opening, to the "
        "same encoder `untrained` and to the best of six frozen readings."
    ),
    "finetuning_depth_strategy": "The same for every strategy, by co-interaction.",
    "finetuning_depth_steps": (
        "The same for longer training of every parameter (`full-150`: 150 steps), and for its weights and the frozen "
        "ones in equal parts (`half-150`)."
    ),
    "finetuning_best": (
        "The three best objectives of `finetuning_depth_objective` under three other seeds, pooled, 2,000 users each; "
        "one direction (the other one was begun, see the log)."
    ),
    "spans": (
        "Brand and product spans in titles, F1 by exact match, of the tuned tagger (`f1`) against a dictionary of the "
        "training titles and, in English, the rule that the first word is the brand; on titles whose brands are seen "
        "in training and, apart, never. `gain`: to the best that trains nothing. Asked for: above the dictionary."
    ),
    "robustness": (
        "Titles with typos, dropped words, words stuffed behind them, or in capitals: neighbours kept, and NDCG@10 of "
        "an opening kept, by the frozen encoder, the tuned one, and the one tuned against FGM."
    ),
    "importing": (
        "`kuapin import SHOP --format complete-journey`, a fresh process and a new shop each time. Asked for: ≤ 20 s, "
        "≤ 2 GB."
    ),
    "bundles": (
        "One item of a basket is hidden. `baskets`: Complete Journey, household known; `a->b`: bundles of one domain "
        "teach, those of the other are completed, whose items nobody has bought. `ours` is the set as shown, without "
        "what could replace something in the basket; `ranking` what it is taken from; `other_kind`: hidden items of "
        "other kinds alone. Asked for: ratio ≥ 1.3 to the best of popularity, lift and frozen text."
    ),
    "brands": "The next brand that is new to a person, among all. Asked for: ratio ≥ 1.3 to the popularity of brands.",
    "campaigns": (
        "Who redeems which coupon, of hidden campaigns of Complete Journey; and what campaigns changed. Asked for: "
        "`ap.ratio` ≥ 1.3."
    ),
    "trends": "Share of the 100 items named as growing that sell more next week than on the mean of the last four.",
    "home": (
        "A home page of 30 rows a household on Complete Journey, explained: processor time of a call, rows by surface, "
        "distinct categories and leaves of its items (`products`: of as many of the products alone), items shown twice."
    ),
    "profile_stability": (
        "Statements of profiles on Complete Journey that are made again when a household's days are drawn again, and "
        "that the second half of its days makes after the first; `sure`: confidence of .9 or more. Asked for: stable, "
        "every statement `traceable`."
    ),
    "batch": "`kuapin recommend --users FILE` on Complete Journey, n = 10. Asked for: ≥ 500 users/s, ≤ 3 GB.",
    "dirty_logs": (
        "Robots, bulk buyers and fake bursts planted into amazon18_arts_office: share found, share of people's events "
        "taken for them, NDCG@10 kept of the clean log's, with the defence and without; `KIND.N.found`: of robots and "
        "bulk buyers with N events or more (up to the next N), of bursts of N users or more."
    ),
    "service": (
        "`kuapin serve` on Complete Journey, SQLite, a process a core (`one_process.*`: one), under an open-loop load "
        "from another. Asked for: at 100 requests/s p50 ≤ 10 ms and p99 ≤ 40 ms; ≥ 300 requests/s within p99 ≤ 100 "
        "ms; ≥ 2,000 events/s; start ≤ 5 s; an item recommendable ≤ 1 s after it is put."
    ),
    "crash": (
        "`kill -9` at random moments while events, items, releases and a refresh are under way; what was acknowledged "
        "and is missing, and torn releases. Asked for: ≥ 300 cycles on SQLite, ≥ 100 on PostgreSQL, none lost."
    ),
    "fuzz": (
        "Schemathesis on the whole OpenAPI document: answers of 500 and above that are no deliberate 503, and answers "
        "that the document does not know. Asked for: ≥ 100,000 requests, none of either."
    ),
    "soak": (
        "The service under 80 % of what it can answer, for hours: growth of its resident memory from the first tenth "
        "to the last. Asked for: two hours, < 5 %."
    ),
    "privacy": (
        "Personal data in made-up records of English and Chinese, whose generator shares no list with the recognisers. "
        "Asked for: structured identifiers recall ≥ 0.98; false masks on real product titles ≤ 0.005."
    ),
    "gate": (
        "How often the gate of `kuapin refresh` lets a model pass, by categories, users in each, and what it loses. "
        "Asked for: a loss of 15 % among 1,000 users passes in ≤ 10 % of trials. `year`: one live model challenged "
        "every week, ten categories; share of the years in which a challenger that loses the margin of 10 %, or 15 %, "
        "ever passes in one of them (`uncorrected`: as if every look were the first); asked for at the margin: ≤ .05."
    ),
    "demo": "`make demo`. Asked for: ≤ 10 minutes, ≤ 4 GB.",
}
HEAD = """\
# Benchmarks

`python -m benchmarks.NAME [--quick] [--set FOLDER]` prints its table and writes `results/NAME.json`
(`results/quick/` with `--quick`). The data lie under `$KUAPIN_DATA` (default `../shared/data`). This page is written
from the results by `python -m benchmarks.tables`. A load above 1 at the start means that others used the machine as
well: then ratios hold better than times. How the figures came about, failures too: see the
[experiments](../docs/experiments.md).
"""


def page(folder: Path = RESULTS) -> str:
    """The page as Markdown, one section a result; what was not measured yet is said to be missing."""
    sections = [HEAD]
    for name, about in ABOUT.items():
        path = folder / f"{name}.json"
        if not path.exists():
            sections.append(f"## {name}\n\n{about}\n\nNot measured in full yet.\n")
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        parts = [f"## {name}\n\n{about}\n", _setting(result), _figures(name, result["figures"])]
        if result.get("table"):
            parts.append(_launches(result["table"]))
        if result.get("grid"):
            parts.append(_grid(result["grid"]))
        if result.get("methods"):
            parts.append(_methods(result["methods"]))
        if result.get("shops"):
            parts.append(_shops(result["shops"]))
        for title, rows in result.get("second_level", {}).items():
            parts.append(f"Second-level categories of {title}:\n\n{_launches(rows)}")
        sections.append("\n".join(parts))
    return "\n".join(sections)


def _setting(result: Mapping[str, Any]) -> str:
    hardware = result["hardware"]
    seeds = ", ".join(map(str, result["seeds"]))
    load = f", load {result['load_at_start']:.1f} at the start" if "load_at_start" in result else ""
    machine = f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_gb']:.0f} GB{load}"
    return f"`{result['command']}` · commit `{result['commit']}` · {result['date'][:10]} · {machine} · seeds {seeds}\n"


def _figures(name: str, figures: Mapping[str, Any]) -> str:
    shown = {key: one for key, one in figures.items() if not (name == "launch" and key.endswith((".low", ".high")))}
    rows = [(f"`{key}`", _value(one), _ends(one), one["unit"]) for key, one in shown.items()]
    return _table(("figure", "value", "95 %", "unit"), rows)


def _launches(rows: Iterable[Mapping[str, Any]]) -> str:
    rows = list(rows)
    methods = list(dict.fromkeys(name for row in rows for name in row["methods"]))
    lines = [
        [
            row["launch"],
            f"{row['shot']:g}",
            f"{row['users']:,}",
            *(_method(row, name) for name in methods),
            _rivals(row),
        ]
        for row in rows
    ]
    note = "NDCG@10, the best baseline in bold; in the last column slow methods that were measured under one seed only."
    return f"{_table(('launch', 'shot', 'users', *methods, 'one seed: it / best'), lines)}\n{note}\n"


def _grid(grid: Mapping[str, Any]) -> str:
    """Objectives down, strategies across: what bf16 and int8 keep."""
    strategies = list(next(iter(grid.values())))
    rows = [[one, *(f"{row[n]['bf16']:.3f} / {row[n]['int8']:.3f}" for n in strategies)] for one, row in grid.items()]
    return _table(("kept, bf16 / int8", *strategies), rows)


def _methods(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [
        [row["launch"], row["method"], f"{row['users']:,}", f"{row['ndcg@10']:.4f}", _ratio(row["to_best_frozen"])]
        for row in rows
    ]
    return _table(("launch", "method", "users", "NDCG@10", "to the best frozen reading, 95 %"), lines)


def _shops(rows: Iterable[Mapping[str, Any]]) -> str:
    """Every method in every shop."""
    lines = [[row["method"], f"{row['ndcg@10']:.4f}", f"{row['hit_rate@10']:.4f}"] for row in rows]
    return _table(("shop: method", "NDCG@10", "hit rate@10"), lines)


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def _rivals(row: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {mean:.4f} / {best:.4f}" for name, (mean, best) in row["rivals_and_best"].items())


def _method(row: Mapping[str, Any], name: str) -> str:
    if name not in row["methods"]:
        return "–"
    value = f"{row['methods'][name]['ndcg@10']['value']:.4f}"
    return f"**{value}**" if name == row["best_baseline"] else value


def _value(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:.4g}" if abs(figure["value"]) < 1000 else f"{figure['value']:,.0f}"


def _ends(figure: Mapping[str, Any]) -> str:
    if figure["low"] is None or figure["high"] is None:
        return ""
    return f"{_value(figure | {'value': figure['low']})} – {_value(figure | {'value': figure['high']})}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


SENTENCES = {
    "bundles": (
        "Of a basket with one product hidden, NDCG@10 of what is shown is {baskets.ours:.3f}, {baskets.ratio:.2f} "
        "times the best of popularity, co-purchase and frozen text; {baskets.substitutes@5.surface:.1%} of the first "
        "five could replace something in the basket, {baskets.substitutes@5.lift:.0%} by co-purchase."
    ),
    "similar": (
        "{complete_journey.leaf:.0%} of the ten share the product type (chance: {complete_journey.leaf.chance:.1%}); "
        "they hold {complete_journey.recall:.1%} of the ten products that most households bought with it (by texts "
        "alone: {complete_journey.recall.texts:.1%}; the type's best sellers: "
        "{complete_journey.recall.popular_of_leaf:.1%})."
    ),
    "brands": (
        "A household's next new brand: NDCG@10 {complete_journey.new_brand.ours:.3f}, "
        "{complete_journey.new_brand.ratio:.2f} times brand popularity: hardly better here."
    ),
    "campaigns": (
        "Who uses which coupon of a hidden campaign: average precision {ap.ratio:.1f} times the better of coupon "
        "popularity and purchase counts, AUC {auc:.2f} to {best_baseline.auc:.2f}. Whether campaigns make people buy "
        "more could not be shown (uplift {uplift.ratio:.2f})."
    ),
    "trends": (
        "{complete_journey.precision:.0%} of the surest hundred sold more in the next week, "
        "{complete_journey.best_baseline:.0%} by the best simple method."
    ),
    "profile": (
        "A statement is told with the share of 100 resamplings of the history in which it holds. Where a household's "
        "days are drawn again, {drawn_again.sure:.0%} of those with .9 or more are made again, "
        "{drawn_again.unsure:.0%} of the others; the second half of its days says {later.sure:.0%} and "
        "{later.unsure:.0%} of what the first said."
    ),
}
"""What the demo's report says of a surface: its benchmark's figures on the demo's data."""


def measured(folder: Path = RESULTS) -> dict[str, str]:
    """Surface → its sentence, with the command and the commit; what was not measured is not there."""
    told = {}
    for name, sentence in SENTENCES.items():
        path = folder / f"{'profile_stability' if name == 'profile' else name}.json"
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            filled = _FIELD.sub(lambda m: format(result["figures"][m[1]]["value"], m[2]), sentence)  # noqa: B023
            told[name] = f"{filled} ({result['command']}, commit {result['commit']})"
    return told


_FIELD = re.compile(r"\{([^:}]+):([^}]+)\}")


def main() -> None:
    """Write the page, and what the demo's report says of the surfaces."""
    PAGE.write_text(page(), encoding="utf-8")
    MEASURED.write_text(f"{json.dumps(measured(), indent=1, ensure_ascii=False)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
