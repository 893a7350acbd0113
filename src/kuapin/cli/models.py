"""``kuapin models``: the releases of a shop."""

from typing import TYPE_CHECKING

from kuapin.cli.measures import QUALITY, best_simple
from kuapin.cli.output import AsJson, ShopFolder, releases_of, remark, say, say_json, say_table

if TYPE_CHECKING:
    from kuapin.model_folder import Release


def models(folder: ShopFolder, *, as_json: AsJson = False) -> None:
    """List the releases, oldest first, with NDCG@10 as measured in training; the live one is marked.

    Beside it stands the best of the simple methods measured there, below it what the live release was trained on.
    --json has all measures and every release's note.
    """
    releases = releases_of(folder).versions()
    if as_json:
        say_json(
            {"live": next((r.version for r in releases if r.live), None), "releases": [_plain(r) for r in releases]}
        )
    elif releases:
        say_table(_columns(releases), right=("size", "NDCG@10"))
        for release in releases:
            if release.fault:
                remark(release.fault, quiet=False)
            elif release.live and release.note:
                say(f"{release.version}: {release.note}")
    else:
        remark(f"{folder} has no model yet. Next: kuapin train {folder}", quiet=False)


def _plain(release: "Release") -> dict[str, object]:
    return {
        "version": release.version,
        "live": release.live,
        "created_at": release.created_at,
        "bytes": release.bytes,
        "metrics": dict(release.metrics),
        "note": release.note,
        "fault": release.fault,
    }


def _columns(releases: list["Release"]) -> dict[str, list[str]]:
    return {
        "version": [release.version for release in releases],
        "": ["live" if release.live else "damaged" if release.fault else "" for release in releases],
        "size": [f"{release.bytes / 1e6:,.1f} MB" for release in releases],
        "NDCG@10": [_figure(release.metrics.get(QUALITY)) for release in releases],
        "best simple": ["–" if one is None else f"{one[0]} {one[1]:.4f}" for one in map(_best_simple, releases)],
    }


def _best_simple(release: "Release") -> tuple[str, float] | None:
    return best_simple(release.metrics)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
