import numpy as np
import pytest
import torch

from kuapin.sequence.model import hidden, initial_weights


def hidden_of(config, vectors, seed=0):
    weights = initial_weights(config, 5, 8, 2)
    rng = np.random.default_rng(seed)
    for name in ("event", "gap", "category"):
        weights[name] += rng.standard_normal(weights[name].shape).astype(np.float32)
    w = {name: torch.from_numpy(value) for name, value in weights.items()}
    kinds = torch.zeros(vectors.shape[:2], dtype=torch.long)
    return hidden(w, config, vectors, kinds, kinds, kinds)


def test_nothing_looks_ahead(config):
    torch.manual_seed(0)
    one = torch.randn(2, 5, config.embedding_size)
    other = one.clone()
    other[:, 3:] = 100 * torch.randn(2, 2, config.embedding_size)
    found, changed = hidden_of(config, one), hidden_of(config, other)
    assert torch.allclose(found[:, :3], changed[:, :3], atol=1e-6)
    assert not torch.allclose(found[:, 3:], changed[:, 3:], atol=0.01)


def test_what_lies_before_counts_and_so_does_its_order(config):
    torch.manual_seed(0)
    config = config.model_copy(update={"max_history": 3})
    one = torch.randn(1, 3, config.embedding_size)
    weights = initial_weights(config, 5, 8, 2)
    weights["0.distance"][:] = np.array([0.0, 1.0, 3.0], np.float32)
    w = {name: torch.from_numpy(value) for name, value in weights.items()}
    kinds = torch.zeros(1, 3, dtype=torch.long)
    straight = hidden(w, config, one, kinds, kinds, kinds)[0, -1]
    turned = hidden(w, config, one[:, [1, 0, 2]], kinds, kinds, kinds)[0, -1]
    assert not torch.allclose(straight, turned, atol=1e-3)


def test_a_longer_history_than_was_trained_on_is_read(config):
    found = hidden_of(config, torch.randn(1, 3 * config.max_history, config.embedding_size))
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(found.norm(dim=-1).numpy(), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_weights(config):
    one, two = initial_weights(config, 5, 8, 2), initial_weights(config, 5, 8, 2)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    other = initial_weights(config.model_copy(update={"seed": 1}), 5, 8, 2)
    assert not np.array_equal(one["text"], other["text"])


@pytest.mark.parametrize("layers", [1, 3])
def test_one_place_alone_is_what_it_is_among_all(config, layers):
    torch.manual_seed(0)
    config = config.model_copy(update={"layers": layers})
    w = {name: torch.from_numpy(value) for name, value in initial_weights(config, 5, 8, 2).items()}
    w |= {name: torch.randn_like(value) for name, value in w.items() if name.endswith(("distance", "bias"))}
    vectors, kinds = torch.randn(3, 5, config.embedding_size), torch.zeros(3, 5, dtype=torch.long)
    places = torch.tensor([4, 0, 2])
    whole = hidden(w, config, vectors, kinds, kinds, kinds)[torch.arange(3), places]
    alone = hidden(w, config, vectors, kinds, kinds, kinds, only=places)
    assert alone.shape == (3, 1, config.embedding_size)
    assert torch.allclose(alone.squeeze(1), whole, atol=1e-5)
