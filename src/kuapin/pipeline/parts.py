"""Releases out of several parts: what a release takes over from the one before it.

A part is a folder with a catalogue and a recommender; the default one is the release's own folder, others lie in
``parts/``. Files of a release never change, so they are linked where the file system can, not copied.
"""

import os
import shutil
from pathlib import Path

from kuapin.integrity import files_of
from kuapin.manifest import MANIFEST, ROUTING, Route, part_of
from kuapin.model import CATALOGUE
from kuapin.ranking.recommender import DESCRIPTION, RANKER, SOURCES

PARTS = "parts"
OF_A_PART = (CATALOGUE, DESCRIPTION, RANKER, SOURCES)
"""Files and folders that a part consists of."""


def take_over(release: Path, draft: Path) -> None:
    """Put all that a release holds into an empty draft, but what names the release itself."""
    for path in files_of(release):
        if path not in (MANIFEST, ROUTING):
            _link(release / path, draft / path)


def take_over_part(release: Path, route: Route, draft: Path, name: str) -> Route:
    """Put the part that a route of a release names into a draft, as ``parts/<name>``.

    Returns:
        The route to it, the same encoder and user model named.
    """
    part = release / part_of(route)
    target = draft / PARTS / name
    for path in files_of(part):
        if path.split("/")[0] in OF_A_PART:
            _link(part / path, target / path)
    return route.model_copy(update={"ranker": f"{PARTS}/{name}/{RANKER}"})


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
