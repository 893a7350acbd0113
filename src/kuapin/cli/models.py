"""``kuapin models``: the releases of a shop."""

from typing import TYPE_CHECKING

from kuapin.cli.output import AsJson, ShopFolder, releases_of, remark, say_json, say_table

if TYPE_CHECKING:
    from kuapin.model_folder import Release

BY_CATEGORY = "ece."
"""Measures that a release has many of."""


def models(folder: ShopFolder, *, as_json: AsJson = False) -> None:
    """List the releases, oldest first, with their measures; the live one is marked."""
    releases = releases_of(folder).versions()
    if as_json:
        say_json(
            {"live": next((r.version for r in releases if r.live), None), "releases": [_plain(r) for r in releases]}
        )
    elif releases:
        say_table(_columns(releases), right=("size",))
        for release in releases:
            if release.fault:
                remark(release.fault, quiet=False)
    else:
        remark(f"{folder} has no model yet. Next: kuapin train {folder}", quiet=False)


def _plain(release: "Release") -> dict[str, object]:
    return {
        "version": release.version,
        "live": release.live,
        "created_at": release.created_at,
        "bytes": release.bytes,
        "metrics": dict(release.metrics),
        "fault": release.fault,
    }


def _columns(releases: list["Release"]) -> dict[str, list[str]]:
    return {
        "version": [release.version for release in releases],
        "": ["live" if release.live else "damaged" if release.fault else "" for release in releases],
        "created": [release.created_at[:19].replace("T", " ") for release in releases],
        "size": [f"{release.bytes / 1e6:,.1f} MB" for release in releases],
        "measures": [_measures(release) for release in releases],
    }


def _measures(release: "Release") -> str:
    """The measures of the whole shop; those of single categories are in ``--json``."""
    return "  ".join(
        f"{name} {value:.4g}"
        for name, value in release.metrics.items()
        if value is not None and not name.startswith(BY_CATEGORY)
    )
