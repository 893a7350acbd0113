"""``kuapin rollback``: the release that was live before."""

from kuapin.cli.output import ShopFolder, releases_of, say


def rollback(folder: ShopFolder) -> None:
    """Make the release live again that was live before this one; repeat to go further back."""
    say(f"{releases_of(folder).rollback()} is live.")
