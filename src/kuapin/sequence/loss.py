"""Softmax over drawn items."""

from typing import Any

from kuapin.extras import require


def sampled_softmax(users: Any, right: Any, drawn: Any, log_expected: Any, excluded: Any) -> Any:
    """Mean cross-entropy of the right item among itself and the drawn ones, with the sampling correction.

    The logit of a drawn item has the logarithm subtracted of how often it is drawn on average, so that the sum over the
    drawn stands for the sum over all items (Bengio and Senécal 2008). The right item is there for certain and keeps its
    logit (Khrylchenko et al., "Correcting the LogQ Correction", RecSys 2025).

    Args:
        users: float32 (m, d), scaled user vectors.
        right: float32 (m, d), item vectors.
        drawn: float32 (k, d), item vectors of the drawn.
        log_expected: float32 (k,), logarithm of k times the probability of the drawn.
        excluded: bool (m, k), drawn items that are not counted: the right one itself.
    """
    torch = require("torch", "train")
    wrong = (users @ drawn.T - log_expected).masked_fill(excluded, float("-inf"))
    own = (users * right).sum(dim=1)
    return (torch.logsumexp(torch.cat((own[:, None], wrong), dim=1), dim=1) - own).mean()


def full_softmax(users: Any, items: Any, answers: Any, excluded: Any) -> Any:
    """Mean cross-entropy over all items, float32 (n, d); ``answers`` int64 (m,); ``excluded`` bool (m, n)."""
    torch = require("torch", "train")
    logits = (users @ items.T).masked_fill(excluded, float("-inf"))
    return torch.nn.functional.cross_entropy(logits, answers)
