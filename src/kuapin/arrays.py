"""Named NumPy arrays on disk, as safetensors: nothing in such a file can run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from kuapin.durable import write_durably
from kuapin.errors import ModelFolderError


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays (bool, integers, floats; any shape) to one safetensors file, durably."""
    # safetensors copies memory as it lies, whatever the strides say
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(
        path, save({name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()})
    )


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read what ``save_arrays`` wrote.

    Raises:
        ModelFolderError: the file is missing, truncated or not a safetensors file.
    """
    try:
        return dict(load(path.read_bytes()))
    except FileNotFoundError as error:
        raise ModelFolderError(
            f"{path}: the file is missing. Train again, or roll back: kuapin rollback SHOP"
        ) from error
    except SafetensorError as error:
        raise ModelFolderError(
            f"{path}: not a whole safetensors file ({error}). Train again, or roll back: kuapin rollback SHOP"
        ) from error
