import numpy as np
import pytest
import torch

from kuapin.sequence.row_adam import BETAS, RowAdam


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_it_does_what_adam_does_on_the_whole_table(weight_decay):
    """Rows of which every step reads a few at random: torch's AdamW moves all of them at every step."""
    rng, n, d = np.random.default_rng(0), 40, 6
    start = torch.from_numpy(rng.standard_normal((n, d)).astype(np.float32))
    whole = start.clone().requires_grad_()
    adam = torch.optim.AdamW([whole], lr=0.01, weight_decay=weight_decay, betas=BETAS)
    table = start.clone()
    ours = RowAdam(table, 0.01, weight_decay)
    for number in range(300):
        rows = torch.from_numpy(np.sort(rng.permutation(n if number < 30 else n // 2)[:5]))
        gradient = torch.from_numpy(rng.standard_normal((5, d)).astype(np.float32))
        whole.grad = torch.zeros_like(whole)
        whole.grad[rows] = gradient
        adam.step()
        assert torch.allclose(ours.read(rows), table[rows])
        ours.step(rows, gradient)
    ours.settle()
    moved = (whole.detach() - start).abs().max(dim=1).values
    apart = (whole.detach() - table).abs().max(dim=1).values
    assert moved.min() > 0.05
    assert (apart / moved).max() < 0.1  # without what momentum would have moved in between it is above 0.5


def test_a_row_that_was_never_read_stays():
    table = torch.ones(3, 2)
    adam = RowAdam(table, 0.1, 0.0)
    rows = torch.tensor([1])
    adam.read(rows)
    adam.step(rows, torch.ones(1, 2))
    adam.settle()
    assert torch.equal(table[[0, 2]], torch.ones(2, 2))
    assert (table[1] < 0.95).all()


def test_it_goes_on_from_its_state():
    tables = [torch.ones(3, 2), torch.ones(3, 2)]
    adams = [RowAdam(table, 0.1, 0.0) for table in tables]
    rows, more = torch.tensor([0, 1]), torch.tensor([1, 2])
    adams[0].read(rows)
    adams[0].step(rows, torch.ones(2, 2))
    tables[1].copy_(tables[0])
    adams[1].take(adams[0].state())
    for adam in adams:
        adam.read(more)
        adam.step(more, torch.full((2, 2), -2.0))
        adam.settle()
    assert torch.equal(tables[0], tables[1])
