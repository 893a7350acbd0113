"""Kuapin: recommendations across categories, for categories that have just opened."""

from importlib import import_module

TYPE_CHECKING = False  # as typing's; importing that would double the time before Ctrl-C is caught

if TYPE_CHECKING:
    from kuapin.finetuning.settings import FinetuningConfig
    from kuapin.model import Model
    from kuapin.pipeline.finetune import finetune
    from kuapin.pipeline.train import train
    from kuapin.workspace import Shop

    __version__: str

__all__ = ["FinetuningConfig", "Model", "Shop", "__version__", "finetune", "train"]

_HOMES = {
    "Shop": "kuapin.workspace",
    "FinetuningConfig": "kuapin.finetuning.settings",
    "finetune": "kuapin.pipeline.finetune",
    "train": "kuapin.pipeline.train",
    "Model": "kuapin.model",
}


def __getattr__(name: str) -> object:
    """The public names, imported when first used: importing the package costs nothing."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'kuapin' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("kuapin")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+source"
