"""Catalogue coverage (Herlocker et al. 2004; Ge et al. 2010)."""

import numpy as np

from kuapin.evaluation.ranked import Judged


def coverage(judged: Judged, k: int) -> float:
    """The share of the candidates that at least one of the lists holds at rank ≤ k, in [0, 1].

    A property of all lists together: it grows with the number of users, so compare it between methods judged on the
    same users only.
    """
    shown = judged.ranked.items[:, :k]
    candidates = np.unique(judged.facts.candidates)
    if len(candidates) == 0:
        return 0.0
    return float(np.isin(candidates, np.unique(shown[shown >= 0])).mean())
