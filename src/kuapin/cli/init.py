"""``kuapin init``: a new shop."""

from kuapin.cli.output import Quiet, ShopFolder, remark


def init(folder: ShopFolder, *, quiet: Quiet = False) -> None:
    """Make a new, empty shop with a configuration file that explains itself."""
    from kuapin.workspace import Shop

    Shop.init(folder)
    remark(f"Made the shop {folder}. Settings: {folder}/kuapin.toml", quiet=quiet)
    remark(f"Next: kuapin import {folder} --items FILE --interactions FILE", quiet=quiet)
