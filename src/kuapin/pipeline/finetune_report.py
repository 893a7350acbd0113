"""What a run of fine-tuning tells programs: one JSON object, printed and kept in ``shop/reports``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kuapin.durable import write_durably
from kuapin.evaluation.bootstrap import Interval
from kuapin.evaluation.gate import Verdict
from kuapin.pipeline.encoder_audit import Carried, EncoderAudit
from kuapin.pipeline.finetune import Finetuned
from kuapin.pipeline.text_zero_shot import Opening
from kuapin.workspace import Shop


def write_report(shop: Shop, tuned: Finetuned) -> Path:
    """Write ``reports/finetune-NAME.json``."""
    path: Path = shop.reports / f"finetune-{tuned.name}.json"
    write_durably(path, (json.dumps(told(tuned), indent=1, ensure_ascii=False) + "\n").encode())
    return path


def told(tuned: Finetuned) -> dict[str, Any]:
    """All figures; ``null`` where there is no number."""
    outcome = tuned.adapted.outcome
    return {
        "backbone": tuned.name,
        "folder": str(tuned.adapted.folder),
        "steps": outcome.steps,
        "planned": outcome.planned,
        "parameters": outcome.trained,
        "seconds_per_step": outcome.seconds_per_step,
        "averaged": outcome.averaged,
        "peak_bytes": outcome.peak_bytes,
        "examples": tuned.adapted.examples,
        "learnt_from": tuned.adapted.learnt_from,
        "held_out": tuned.adapted.held_out,
        "before": outcome.before.values,
        "after": outcome.after.values,
        "ensemble": tuned.ensemble,
        "gains": {metric: _ends(one) for metric, one in tuned.gains.items()},
        "compared_with": tuned.compared_with,
        "openings": [_opening(one) for one in tuned.openings],
        "unasked": list(tuned.unasked),
        "audit": None if tuned.audit is None else _audit(tuned.audit),
    }


def _opening(one: Opening) -> dict[str, Any]:
    return {
        "category": one.category,
        "new": one.new,
        "users": len(one.launch.test_users),
        "before": {metric: _ends(mean) for metric, mean in one.before.items()},
        "after": {metric: _ends(mean) for metric, mean in one.after.items()},
        "ratio": {metric: _ends(ratio) for metric, ratio in one.ratios.items()},
        "decides": None if one.decides is None else _ends(one.decides),
        "gate": None if one.verdict is None else _verdict(one.verdict),
        "worse": one.worse,
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {name: _number(value) if isinstance(value, float) else value for name, value in asdict(one).items()}


def _audit(audit: EncoderAudit) -> dict[str, Any]:
    return {
        "exposure": [asdict(share) for share in audit.exposure],
        "swaps": {one.what: _carried(one) for one in audit.swaps},
        "planted": None if audit.planted is None else _carried(audit.planted) | {"share": audit.planted_share},
    }


def _carried(one: Carried) -> dict[str, Any]:
    figures = {"before": one.before, "after": one.after, "change": one.change}
    return {"titles": one.titles, **{name: _ends(figure) for name, figure in figures.items()}}


def _ends(one: Interval) -> list[float | None]:
    return [_number(one.value), _number(one.low), _number(one.high)]


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if abs(value) < float("inf") else None
