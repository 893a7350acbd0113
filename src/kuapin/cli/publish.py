"""``kuapin publish``: choose the release that is live."""

from typing import Annotated

import typer

from kuapin.cli.output import ShopFolder, releases_of, say
from kuapin.errors import ModelFolderError


def publish(
    folder: ShopFolder,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="Which release; the newest if left out.", show_default=False)
    ] = None,
) -> None:
    """Make a release live, after checking every byte of it; the one that was live stays for rollback."""
    releases = releases_of(folder)
    if version is None:
        known = releases.versions()
        if not known:
            raise ModelFolderError(f"{folder} has no model yet. Run: kuapin train {folder}")
        version = known[-1].version
    releases.activate(version)
    say(f"{version} is live.")
