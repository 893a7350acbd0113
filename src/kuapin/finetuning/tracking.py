"""What records the curves of a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from kuapin.errors import MissingExtraError

_INSTALLED_BY = {"tensorboard": "'kuapin[tracking]'", "wandb": "wandb", "mlflow": "mlflow-skinny"}


def chosen_tracker(asked: str) -> str:
    """The tracker's name for the Trainer, or ``none``.

    Raises:
        MissingExtraError: the one that was asked for is not installed.
    """
    if asked == "auto":
        return "tensorboard" if find_spec("tensorboard") is not None and find_spec("grpc") is not None else "none"
    if asked != "none" and find_spec(asked) is None:
        raise MissingExtraError(
            f"training.tracker is {asked}, which is not installed. Run: pip install {_INSTALLED_BY[asked]}"
        )
    return asked


@contextmanager
def recording(tracker: str, folder: Path) -> Iterator[None]:
    """A block in which a tracker that is told nothing else writes into a folder; its run ends with the block.

    Args:
        tracker: as ``chosen_tracker`` gives it.
        folder: made where a tracker needs it.
    """
    wanted = {
        "tensorboard": {"TENSORBOARD_LOGGING_DIR": str(folder)},
        "wandb": {"WANDB_DIR": str(folder)},
        # MLflow no longer writes plain files unless it is asked to, and its databases need more packages
        "mlflow": {"MLFLOW_TRACKING_URI": (folder.resolve() / "mlflow").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"},
    }.get(tracker, {})
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    if wanted:
        folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        if tracker == "wandb":
            import_module("wandb").finish()
        elif tracker == "mlflow":
            import_module("mlflow").end_run()
