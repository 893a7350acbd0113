"""A user model of several other shops, which the one of this shop begins from."""

from pathlib import Path

from kuapin.config import Config
from kuapin.data.category_levels import several_categories
from kuapin.data.suspects import find_suspects
from kuapin.encoding.encoder import Encoder
from kuapin.encoding.items import encoded
from kuapin.errors import InputError
from kuapin.progress import SILENT, Progress
from kuapin.ranking.signals import USER_MODEL
from kuapin.retrieval.whitening import fit_whitening
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.several import Log, joined
from kuapin.sequence.starting import Start
from kuapin.sequence.training import train
from kuapin.text.template import render
from kuapin.workspace import Shop


def check_shops(paths: tuple[Path, ...]) -> None:
    """Refuse what is no shop, before work is done.

    Raises:
        InputError: naming it.
    """
    for path in paths:
        try:
            Shop.open(path)
        except InputError as error:
            raise InputError(
                f"[sources.sequence] start = {str(path)!r}: of several starts each is a shop, and this is none. "
                "Correct the path."
            ) from error


def joint_start(config: Config, encoder: Encoder, run: Path | None, progress: Progress = SILENT) -> Start | None:
    """Train one user model on the logs of the shops that a configuration starts from.

    ``None`` where it names no list of them, or its ranker does not read the user model.

    It reads texts alone, as nothing else is known of a shop to come. Their openings are replayed too.

    Args:
        config: of the shop that begins; also how long, how wide, and so on.
        encoder: its language model, which reads the items of all.
        run: where the training keeps its state; ``None``: nowhere.
        progress: told of every step.
    """
    settings = config.sources.sequence
    if not isinstance(settings.start, tuple) or USER_MODEL not in (config.signals.sources or (USER_MODEL,)):
        return None
    with progress.step("Reading the shops to begin from"):
        whole = joined([_log_of(Shop.open(path), encoder, progress) for path in settings.start])
        whitening = fit_whitening(whole.text)
        white = whitening.of(whole.text)
    alone = settings.model_copy(update={"text": True, "ids": False, "start": None, "tune": "all"})
    done = train(
        whole.histories, white, whole.categories, alone, folder=run, openings=whole.openings, progress=progress
    )
    return Start.of(UserModel.of(done, white, done.interactions, whole.categories), whitening.axes)


def _log_of(shop: Shop, encoder: Encoder, progress: Progress) -> Log:
    dataset, text = shop.dataset(), shop.config.text
    catalogue, histories = dataset.catalogue, dataset.histories
    vectors = encoded(encoder, text, catalogue.frame, render(catalogue.frame, text), shop.vectors, progress)
    kept = find_suspects(histories, shop.config.live.suspects).kept
    several = several_categories(catalogue)
    openings = catalogue.category if several is None else several
    return Log(histories.keep(kept), vectors, catalogue.category, openings)
