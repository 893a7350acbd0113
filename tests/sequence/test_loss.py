import numpy as np
import torch

from kuapin.sequence.loss import full_softmax, sampled_softmax

NOBODY = torch.zeros(1, 2, dtype=torch.bool)


def test_by_hand():
    """Logits 1 (right), 2 and 0, each drawn once on average: -log(e / (e + e² + 1))."""
    users, right = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    drawn = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    loss = sampled_softmax(users, right, drawn, torch.zeros(2), NOBODY)
    np.testing.assert_allclose(loss.item(), -np.log(np.e / (np.e + np.e**2 + 1)), rtol=1e-6)


def test_what_is_excluded_does_not_count():
    users, right = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    drawn = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    excluded = torch.tensor([[True, False]])
    loss = sampled_softmax(users, right, drawn, torch.zeros(2), excluded)
    np.testing.assert_allclose(loss.item(), -np.log(np.e / (np.e + 1)), rtol=1e-6)


def test_the_correction_gives_the_gradient_of_the_whole_softmax():
    """Many items drawn by a skewed distribution: the gradient is that over all; without the correction it is not."""
    torch.manual_seed(0)
    items, answers = torch.randn(30, 4), torch.tensor([3, 7])
    q = torch.arange(1, 31, dtype=torch.float32) ** 2

    def gradient(corrected):
        users = torch.ones(2, 4, requires_grad=True)
        drawn = torch.multinomial(q, 20_000, replacement=True)
        log_expected = torch.log(len(drawn) * q[drawn] / q.sum()) if corrected else torch.zeros(len(drawn))
        sampled_softmax(users, items[answers], items[drawn], log_expected, answers[:, None] == drawn).backward()
        return users.grad

    users = torch.ones(2, 4, requires_grad=True)
    full_softmax(users, items, answers, torch.zeros(2, 30, dtype=torch.bool)).backward()
    assert torch.allclose(gradient(corrected=True), users.grad, atol=0.02)
    assert not torch.allclose(gradient(corrected=False), users.grad, atol=0.04)
