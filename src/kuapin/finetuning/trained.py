"""The parameters that a run trains, as one safetensors file: what checkpoints and changes hold, and nothing else."""

from kuapin.errors import ModelFolderError
from kuapin.extras import require
from kuapin.finetuning.reader import Reader
from kuapin.finetuning.strategy import Strategy, trainable

_STATE = "strategy."
"""Before the names of what the strategy keeps beside the parameters."""


def to_bytes(reader: Reader, strategy: Strategy) -> bytes:
    """All that ``from_bytes`` needs to make the same reader again, given the backbone, head and strategy."""
    files = require("safetensors.torch", "train")
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in trainable(reader).items()}
    state = {f"{_STATE}{name}": tensor.contiguous().cpu() for name, tensor in strategy.state(reader).items()}
    return bytes(files.save(tensors | state))


def from_bytes(content: bytes, reader: Reader, strategy: Strategy, where: str) -> None:
    """Put trained parameters into a reader that was assembled in the same way.

    Raises:
        ModelFolderError: they are of something else; ``where`` they came from is in the message.
    """
    torch, files = require("torch", "train"), require("safetensors.torch", "train")
    tensors = files.load(content)
    own = trainable(reader)
    given = {name: tensor for name, tensor in tensors.items() if not name.startswith(_STATE)}
    if {name: tuple(tensor.shape) for name, tensor in given.items()} != {n: tuple(p.shape) for n, p in own.items()}:
        raise ModelFolderError(f"{where} holds other parameters than its settings say. Train again.")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(given[name])
    strategy.load_state(reader, {n.removeprefix(_STATE): t for n, t in tensors.items() if n.startswith(_STATE)})


def all_finite(reader: Reader) -> bool:
    """Whether every trained parameter is a number."""
    torch = require("torch", "train")
    return all(bool(torch.isfinite(parameter).all()) for parameter in trainable(reader).values())
