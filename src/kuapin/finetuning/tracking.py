"""What records the curves of a run."""

from importlib.util import find_spec

from kuapin.extras import require

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


def chosen_tracker(asked: str) -> str:
    """The tracker's name for the Trainer, or ``none``.

    Raises:
        MissingExtraError: the one that was asked for is not installed.
    """
    if asked == "auto":
        return "tensorboard" if find_spec("tensorboard") is not None and find_spec("grpc") is not None else "none"
    if asked != "none":
        require(_PACKAGES[asked], "tracking")
    return asked
