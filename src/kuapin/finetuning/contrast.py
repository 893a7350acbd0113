"""The in-batch softmax: of all second texts of a batch, which belongs to the first?"""

from kuapin.extras import require
from kuapin.finetuning.reader import Tensor


def in_batch_softmax(
    first: Tensor,
    second: Tensor,
    temperature: float,
    *,
    log_q: Tensor | None = None,
    masked: Tensor | None = None,
    hard: Tensor | None = None,
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
        hard: unit vectors float32 (B, m, d), negatives that only their own row sees, without correction.
    """
    torch = require("torch", "train")
    logits = first @ second.T / temperature  # (B, B)
    if log_q is not None:
        logits = logits - log_q
    if masked is not None:
        diagonal = torch.eye(len(first), dtype=torch.bool, device=first.device)
        logits = logits.masked_fill(masked & ~diagonal, float("-inf"))
    if hard is not None:
        own = torch.einsum("bd,bmd->bm", first, hard) / temperature  # (B, m)
        if log_q is not None:
            own = own - log_q.mean()  # on the scale of the corrected columns, as likely as an average one
        logits = torch.cat([logits, own], dim=1)
    target = torch.arange(len(first), device=first.device)
    return torch.nn.functional.cross_entropy(logits, target, reduction="none")
