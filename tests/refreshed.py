"""``refresh`` of a made-up shop: its texts are read by made-up vectors, all else is what runs in a real one."""

import sys
from pathlib import Path
from types import SimpleNamespace

from kuapin.data.dataset import build_dataset
from kuapin.pipeline import refresh as refreshing
from kuapin.pipeline.train import Texts
from kuapin.retrieval.whitening import fit_whitening
from kuapin.workspace import Shop
from tests import market

PROGRAM = "from tests.refreshed import main; main()"


class WordEncoder:
    """Stands for a compiled language model in a release; nothing here reads by it."""

    description = SimpleNamespace(weights_hash=None)

    def save(self, folder):
        folder.mkdir()
        (folder / "encoder.json").write_text("{}")


def read(shop, catalogue, progress=None):
    visible = market.visible(build_dataset(catalogue.frame, market.log(n_users=2)))
    whitening = fit_whitening(visible.vectors)
    return Texts(
        WordEncoder(), visible.texts, visible.vectors, whitening, whitening.of(visible.vectors), market.NOTHING_DECIDED
    )


def main():
    """Refresh the shop that the command names, and let the new model serve whatever comes of it."""
    refreshing.read_texts = read
    refreshing.refresh(Shop.open(Path(sys.argv[1])), force=True)
