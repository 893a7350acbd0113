"""Training against the worst small change of the token embeddings: FGM and PGD.

FGM is one step along the gradient (Miyato et al. 2017, arXiv:1605.07725), PGD several, each followed by a projection
into the allowed ball (Madry et al. 2018, arXiv:1706.06083).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kuapin.extras import require
from kuapin.finetuning.reader import Reader, Tensor


class AdversarialConfig(BaseModel):
    """Whether every batch is read once more with embeddings changed for the worse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["none", "fgm", "pgd"] = Field(
        "none", description="fgm: one step along the gradient, twice the time; pgd: several, time in proportion."
    )
    size: float = Field(
        0.02, gt=0, le=1, description="Length of the change, as a share of the length of the text's embeddings."
    )
    steps: int = Field(3, ge=1, le=20, description="Of PGD.")


class Adversary:
    """Adds a change to what the embedding layer gives, and finds the one that hurts most.

    Args:
        reader: whose embedding layer; nothing of it is changed.
        config: kind and size.
    """

    def __init__(self, reader: Reader, config: AdversarialConfig) -> None:
        self.config = config
        self.steps = {"none": 0, "fgm": 1, "pgd": config.steps}[config.kind]
        self._torch = require("torch", "train")
        self._backbone, self._layer = reader.backbone, reader.backbone.get_input_embeddings()
        self._words: Any = None
        self._change: Any = None
        self._length: Any = None

    @contextmanager
    def clean(self) -> Iterator[None]:
        """The model as it is, with the gradient of the embeddings kept."""
        self._change = None
        with self._hooked():
            yield

    @contextmanager
    def changed(self) -> Iterator[None]:
        """The model with the change found so far."""
        with self._hooked():
            yield

    def take_step(self, gradient: Tensor | None = None) -> None:
        """Move the change along its gradient, and back into the ball.

        Args:
            gradient: float32 (B, T, h); ``None``: that of the last backward pass.
        """
        gradient = self._change.grad if gradient is None else gradient
        allowed = self.config.size * self._length  # (B, 1, 1)
        stride = allowed if self.steps == 1 else allowed * 2 / self.steps
        moved = self._change.detach() + stride * gradient / _length(self._torch, gradient)
        self._change = moved * (allowed / _length(self._torch, moved)).clamp(max=1.0)
        self._change.requires_grad_(True)  # noqa: FBT003 - torch's own signature

    @property
    def change(self) -> Tensor:
        """The change, float32 (B, T, h)."""
        return self._change

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        handles = (
            self._backbone.register_forward_pre_hook(self._look, with_kwargs=True),
            self._layer.register_forward_hook(self._add),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _look(self, _module: Any, _inputs: Any, options: dict[str, Tensor]) -> None:
        self._words = options["attention_mask"].unsqueeze(-1)  # (B, T, 1)

    def _add(self, _module: Any, _inputs: Any, output: Tensor) -> Tensor:
        if self._change is None:
            self._change = self._torch.zeros_like(output, requires_grad=True)
            # Padding has no gradient: were it of the text's length, the words would bear its share of the change
            self._length = _length(self._torch, output.detach() * self._words)
        return output + self._change


def harden(adversary: Adversary, loss: Callable[[], Tensor]) -> None:
    """The steps of PGD after the first; the parameters' gradients are left alone.

    Args:
        adversary: whose change is moved.
        loss: of the batch at hand, computed anew at every call.
    """
    torch = require("torch", "train")
    for _ in range(adversary.steps - 1):
        with adversary.changed():
            (gradient,) = torch.autograd.grad(loss(), adversary.change)
        adversary.take_step(gradient)


def _length(torch: Any, rows: Tensor) -> Tensor:
    """Length of every text's vectors together, float32 (B, 1, 1); never 0."""
    return torch.linalg.vector_norm(rows, dim=(1, 2), keepdim=True).clamp(min=1e-12)
