"""Softmaxes over the vectors of a batch: which second text belongs to a first, and which texts share a label?"""

import numpy as np
from numpy.typing import NDArray

from kuapin.extras import require
from kuapin.finetuning.objective import Measured
from kuapin.finetuning.reader import Tensor


def in_batch_softmax(
    first: Tensor,
    second: Tensor,
    temperature: float,
    *,
    log_q: Tensor | None = None,
    masked: Tensor | None = None,
    hard: Tensor | None = None,
    hard_masked: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of the right second among all seconds of the batch, one value a row, float32 (B,).

    The logit of row i and column j is cos(first_i, second_j) / τ − log q_j, with q_j the probability that text j is
    drawn as a second: without the correction, what is drawn often is pushed away for being drawn often (Bengio and
    Senécal 2008; Yi et al. 2019, RecSys, eq. 3). Columns where ``masked`` is true are no negatives of that row: the
    same item, or the row's own.

    Args:
        first: unit vectors float32 (B, d).
        second: unit vectors float32 (B, d); row i belongs to ``first[i]``.
        temperature: τ.
        log_q: log of the sampling probability of each second, float32 (B,); ``None``: equal for all.
        masked: bool (B, B), columns to leave out of a row's softmax; the diagonal never is.
        hard: unit vectors float32 (B, m, d), negatives that only their own row sees, each as if drawn with the mean
            log q of the batch.
        hard_masked: bool (B, m), those to leave out.
        smoothing: ε; the target is moved by ε towards the uniform distribution over the columns that a row sees.
    """
    torch = require("torch", "train")
    logits = first @ second.T / temperature  # (B, B)
    if log_q is not None:
        logits = logits - log_q
    if masked is not None:
        diagonal = torch.eye(len(first), dtype=torch.bool, device=first.device)
        logits = logits.masked_fill(masked & ~diagonal, float("-inf"))
    if hard is not None:
        own: Tensor = torch.einsum("bd,bmd->bm", first, hard) / temperature  # (B, m)
        if log_q is not None:
            own = own - log_q.mean()  # on the scale of the corrected columns, as likely as an average one
        if hard_masked is not None:
            own = own.masked_fill(hard_masked, float("-inf"))
        logits = torch.cat([logits, own], dim=1)
    log_p = logits.log_softmax(dim=1)
    right = -log_p.diagonal()
    if not smoothing:
        return right
    seen = torch.isfinite(logits)
    uniform = -log_p.masked_fill(~seen, 0.0).sum(dim=1) / seen.sum(dim=1)
    return (1 - smoothing) * right + smoothing * uniform


def supervised_contrast(vectors: Tensor, alike: Tensor, temperature: float) -> Tensor:
    """−mean over the alike p of log softmax_j (cos(i, j) / τ) at p, j ≠ i; the mean over the rows that have any.

    Khosla et al. 2020 (arXiv:2004.11362), eq. 2; beside the cross-entropy of few labels Gunel et al. 2021
    (arXiv:2011.01403). A batch without two that are alike gives 0.

    Args:
        vectors: unit vectors float32 (B, d).
        alike: bool (B, B), which share a label; the diagonal is not looked at.
        temperature: τ.
    """
    torch = require("torch", "train")
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    cosines = (vectors @ vectors.T).float()  # autocast may have rounded them; the softmax is of full width
    log_p = (cosines / temperature).masked_fill(itself, float("-inf")).log_softmax(dim=1)
    right = alike & ~itself
    count = right.sum(dim=1)
    mean = log_p.masked_fill(~right, 0.0).sum(dim=1) / count.clamp(min=1)
    return -mean.sum() / (count > 0).sum().clamp(min=1)


def found_again(
    first: Tensor,
    second: Tensor,
    own: NDArray[np.int64],
    wanted: NDArray[np.int64],
    users: NDArray[np.integer],
    temperature: float,
) -> Measured:
    """``mrr`` and ``recall@10``: where the right second stands among the distinct texts of all seconds; ``loss``.

    The loss is the softmax over all of them without correction, so that it can be compared between batch sizes.

    Args:
        first: unit vectors float32 (n, d).
        second: unit vectors float32 (n, d); row i belongs to ``first[i]``.
        own: int64 (n,), the code of a text that is no candidate of row i; -1: there is none.
        wanted: int64 (n,), the code of the text of ``second[i]``.
        users: int (n,), whose pairs they are.
        temperature: of the loss.
    """
    torch = require("torch", "train")
    unique, place = np.unique(wanted, return_index=True)
    logits = first @ second[torch.from_numpy(place)].T / temperature  # (n, distinct)
    logits = logits.masked_fill(torch.from_numpy(own[:, None] == unique[None, :]), float("-inf"))
    target = torch.from_numpy(np.searchsorted(unique, wanted))
    right = logits.gather(1, target[:, None])
    ahead, level = (logits > right).sum(dim=1), (logits == right).sum(dim=1) - 1
    rank = (1 + ahead + level / 2).double().numpy()  # what ties with the right one stands before it half the time
    rows = {"mrr": 1.0 / rank, "recall@10": (rank <= 10).astype(np.float64)}
    loss = torch.nn.functional.cross_entropy(logits, target)
    values = {"loss": float(loss)} | {name: float(row.mean()) for name, row in rows.items()}
    return Measured(values, rows, users)
