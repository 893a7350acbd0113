import math

import pytest

from kuapin.finetuning.contrast import in_batch_softmax, supervised_contrast

torch = pytest.importorskip("torch")

A = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
B = torch.tensor([[0.6, 0.8], [0.0, 1.0]])


def test_two_pairs_by_hand():
    """Cosines [[.6, 0], [.8, 1]], τ = ½: logits [[1.2, 0], [1.6, 2]]."""
    expected = [math.log(1 + math.exp(-1.2)), math.log(1 + math.exp(-0.4))]
    assert in_batch_softmax(A, B, 0.5).tolist() == pytest.approx(expected, rel=1e-6)


def test_what_is_drawn_three_times_as_often_is_pushed_away_a_third_as_hard():
    """q = (¾, ¼): row 0 is e^{1.2}/¾ against e^0/¼, row 1 is e^2/¼ against e^{1.6}/¾."""
    log_q = torch.log(torch.tensor([0.75, 0.25]))
    expected = [math.log(1 + 3 * math.exp(-1.2)), math.log(1 + math.exp(-0.4) / 3)]
    assert in_batch_softmax(A, B, 0.5, log_q=log_q).tolist() == pytest.approx(expected, rel=1e-6)


def test_the_correction_makes_the_sampled_softmax_the_full_one():
    """Columns drawn in proportion to q and divided by q: the expectation is the softmax over all items equally."""
    first = torch.nn.functional.normalize(torch.tensor([[0.3, 0.7]]), dim=-1)
    items = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [-1.0, 0.2]]), dim=-1)
    q = torch.tensor([0.1, 0.2, 0.3, 0.4])
    drawn = torch.repeat_interleave(torch.arange(4), torch.tensor([1, 2, 3, 4]))  # ten columns, exactly in proportion
    columns = items[drawn]
    loss = in_batch_softmax(first.repeat(10, 1), columns, 1.0, log_q=torch.log(q[drawn]))
    full = torch.nn.functional.cross_entropy((first @ items.T).repeat(4, 1), torch.arange(4), reduction="none")
    shift = torch.log(10 * q)  # each target's own −log q against ten columns of weight 1 / (10 q)
    torch.testing.assert_close(loss[[0, 1, 3, 6]] - shift, full)


def test_a_masked_column_is_no_negative_and_gets_no_gradient():
    second = B.clone().requires_grad_()
    masked = torch.tensor([[False, True], [False, False]])
    loss = in_batch_softmax(A, second, 0.5, masked=masked)
    assert loss[0].item() == 0.0
    loss[0].backward()
    assert second.grad is not None
    assert second.grad.abs().max() == 0


def test_smoothing_spreads_a_share_over_what_a_row_sees():
    """ε = ⅕: ⅘ · −log p(right) + ⅕ · the mean of −log p over the columns; a masked column is not among them."""
    right, wrong = [math.log(1 + math.exp(-x)) for x in (1.2, 0.4)], [math.log(1 + math.exp(x)) for x in (1.2, 0.4)]
    expected = [0.9 * a + 0.1 * b for a, b in zip(right, wrong, strict=True)]
    assert in_batch_softmax(A, B, 0.5, smoothing=0.2).tolist() == pytest.approx(expected, rel=1e-6)
    masked = torch.tensor([[False, True], [False, False]])
    alone = in_batch_softmax(A, B, 0.5, smoothing=0.2, masked=masked).tolist()
    assert alone == pytest.approx([0.0, expected[1]], rel=1e-6)


def test_the_diagonal_is_never_masked():
    masked = torch.ones(2, 2, dtype=torch.bool)
    assert in_batch_softmax(A, B, 0.5, masked=masked).tolist() == [0.0, 0.0]


def test_a_hard_negative_counts_for_its_own_row():
    hard = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
    expected = [math.log(1 + math.exp(-1.2) + math.exp(0.8)), math.log(1 + math.exp(-0.4) + math.exp(-2))]
    assert in_batch_softmax(A, B, 0.5, hard=hard).tolist() == pytest.approx(expected, rel=1e-6)


def test_those_of_a_label_draw_together_by_hand():
    """Three vectors, 0 and 1 alike, cosines 0·1 = .6, 0·2 = 0, 1·2 = .8, τ = ½; row 2 has nobody and does not count."""
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    alike = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    first = math.log(1 + math.exp(0 - 1.2))  # against 2 at 0
    second = math.log(1 + math.exp(1.6 - 1.2))  # against 2 at .8 / ½
    assert supervised_contrast(vectors, alike, 0.5).item() == pytest.approx((first + second) / 2, rel=1e-6)


def test_a_batch_of_strangers_teaches_nothing():
    vectors = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [0.1, 1.0]]), dim=-1).requires_grad_()
    loss = supervised_contrast(vectors, torch.eye(2, dtype=torch.bool), 0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(vectors.grad).all()
    assert vectors.grad.abs().max() == 0
