"""Which items belong to which group, as a matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def members(group: NDArray[np.int32]) -> sparse.csr_matrix:
    """Item × group float32 CSR matrix: 1 where the item is in the group; a group of -1 is none."""
    known = np.flatnonzero(group >= 0)
    shape = (len(group), int(group.max(initial=0)) + 1)
    return sparse.csr_matrix((np.ones(len(known), np.float32), (known, group[known])), shape=shape)
