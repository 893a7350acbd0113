import numpy as np
import pytest

from kuapin.data.histories import empty_histories
from kuapin.errors import InputError
from kuapin.sequence import training
from kuapin.sequence.training import CHECKPOINT, hold_out, train
from tests.sequence.test_batches import histories_of


@pytest.fixture(scope="module")
def trained(shop, config):
    return train(*shop, config)


def test_it_learns_whose_taste_it_is(trained):
    """The answer is one of the 20 items of a taste: NDCG@10 is .23 in a random order of these, .06 in one of all."""
    assert trained.ndcg[0] < max(trained.ndcg)
    assert max(trained.ndcg) > 0.14


def test_the_same_seed_gives_the_same_bytes(trained, shop, config):
    again = train(*shop, config)
    assert all(np.array_equal(trained.weights[name], again.weights[name]) for name in trained.weights)


@pytest.mark.parametrize("change", [{"full_softmax": 1_000}, {"text": False}, {"ids": False}, {"masked_share": 1.0}])
def test_every_variant_learns(shop, config, change):
    found = train(*shop, config.model_copy(update=change | {"epochs": 6}))
    assert max(found.ndcg) > 0.09
    assert all(np.isfinite(value).all() for value in found.weights.values())


def test_an_interrupted_training_goes_on_to_the_same_result(trained, shop, config, tmp_path, monkeypatch):
    passes = []
    learn = training._Run.learn

    def interrupted(run):
        passes.append(len(run.ndcg))
        if len(passes) == 3:
            raise KeyboardInterrupt
        learn(run)

    monkeypatch.setattr(training._Run, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(*shop, config, folder=tmp_path)
    again = train(*shop, config, folder=tmp_path)
    assert passes == [0, 1, 2, 2, 3]
    assert again.ndcg == trained.ndcg
    assert all(np.array_equal(trained.weights[name], again.weights[name]) for name in trained.weights)


@pytest.mark.parametrize("damage", ["cut", "of another log"])
def test_a_state_that_does_not_fit_is_not_taken_up(trained, shop, config, tmp_path, damage):
    histories, text, categories = shop
    other = histories.select(np.arange(len(histories) - 1))
    train(other if damage == "of another log" else histories, text, categories, config, folder=tmp_path)
    if damage == "cut":
        path = tmp_path / CHECKPOINT
        path.write_bytes(path.read_bytes()[:1_000])
    assert train(*shop, config, folder=tmp_path).ndcg == trained.ndcg


def test_what_is_held_out_is_new_and_not_learnt_from():
    log = histories_of([0, 1, 2], [3, 4, 3], [5, 6], [0, 3, 4, 7])
    visible, validation = hold_out(log, 10, 0)
    assert validation.answers.tolist() == [2, 7]
    assert [visible.of(user).tolist() for user in range(4)] == [[0, 1], [3, 4, 3], [5, 6], [0, 3, 4]]
    assert validation.queries.of(1).tolist() == [0, 3, 4]


def test_bad_input(shop, config):
    histories, text, categories = shop
    with pytest.raises(InputError, match="no text vectors came"):
        train(histories, None, categories, config)
    with pytest.raises(InputError, match="two interactions or more; there is none"):
        train(empty_histories(3, len(text), timed=False), text, categories, config)
