from dataclasses import replace

import numpy as np
import pytest
import torch

from kuapin.data.histories import empty_histories
from kuapin.errors import InputError, KuapinError
from kuapin.sequence import run as running
from kuapin.sequence import training
from kuapin.sequence.batches import Batches, gap_kinds, latest, padded
from kuapin.sequence.run import Run
from kuapin.sequence.training import go_on, train
from kuapin.sequence.validation import Validation, hold_out
from tests.sequence.elsewhere import DEVICE, Elsewhere, undisturbed
from tests.sequence.test_batches import histories_of

NOBODY = Validation(empty_histories(0, 80, timed=True), np.empty(0, np.int32))


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
    learn = Run.learn

    def interrupted(run):
        passes.append(len(run.ndcg))
        if len(passes) == 3:
            raise KeyboardInterrupt
        learn(run)

    monkeypatch.setattr(Run, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(*shop, config, folder=tmp_path)
    again = train(*shop, config, folder=tmp_path)
    assert passes == [0, 1, 2, 2, 3]
    assert again.ndcg == trained.ndcg
    assert all(np.array_equal(trained.weights[name], again.weights[name]) for name in trained.weights)


@pytest.mark.parametrize("damage", ["cut", "of another log", "of other texts", "of fewer items"])
def test_a_state_that_does_not_fit_is_not_taken_up(trained, shop, config, tmp_path, damage):
    histories, text, categories = shop
    if damage == "of another log":
        histories = histories.select(np.arange(len(histories) - 1))
    elif damage == "of other texts":
        text = text[::-1].copy()
    elif damage == "of fewer items":
        histories = replace(histories.keep(histories.items < 79), n_items=79)
        text, categories = text[:79], categories[:79]
    train(histories, text, categories, config, folder=tmp_path)
    if damage == "cut":
        (path,) = tmp_path.iterdir()
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


def run_of(shop, config, **change):
    return Run(*shop, config.model_copy(update=change))


def test_the_weights_are_those_of_the_best_pass(shop, config):
    """So large a step that later passes are worse: stopping at the best pass gives the same weights."""
    wild = config.model_copy(update={"learning_rate": 0.3, "epochs": 8, "patience": 2})
    found = train(*shop, wild)
    best = int(np.argmax(found.ndcg))
    assert len(found.ndcg) == min(best + 1 + 2, 8)  # patience ends it
    assert best + 1 < len(found.ndcg)
    short = train(*shop, wild.model_copy(update={"epochs": best + 1}))
    assert all(np.array_equal(found.weights[name], short.weights[name]) for name in found.weights)


def test_the_time_and_nobody_to_ask(shop, config):
    assert len(train(*shop, config.model_copy(update={"minutes": 1e-9})).ndcg) == 1
    found = train(*shop, config, validation=NOBODY)
    assert len(found.ndcg) == config.epochs
    assert np.isnan(found.ndcg).all()


def test_ndcg_by_hand(shop, config):
    """The first item is nearest to the user and the last farthest; what he met does not count."""
    histories, text, categories = shop
    run = run_of((histories, text, categories), config, text=False)
    with torch.no_grad():
        run.warmth[:] = 1.0
        queries = histories.select(np.arange(2))
        user = run.hidden(run.item_vectors(torch.from_numpy(queries.of(0).astype(np.int64)))[None], one(queries, 0))
    scores = np.linspace(1, -1, len(text))
    run.item_vectors = lambda rows, *_: fixed(user[0, -1], scores)[rows]
    run.hidden = lambda vectors, batch, dropout=0.0: user[:, -1:].expand(len(batch.items), batch.items.shape[1], -1)
    unmet = np.setdiff1d(np.arange(len(text)), queries.of(0))
    gains = [
        run._ndcg(Validation(queries.select(np.array([0])), unmet[place : place + 1].astype(np.int32)))
        for place in (0, 2, 9, 10)
    ]
    np.testing.assert_allclose(gains, [1, 1 / 2, 1 / np.log2(11), 0], atol=1e-6)
    within = Validation(queries.select(np.array([0])), unmet[20:21].astype(np.int32), unmet[20:])
    assert run._ndcg(within) == pytest.approx(1)


def one(histories, user):
    alone = histories.select(np.array([user]))
    return padded(alone, gap_kinds(alone), latest(alone, 50))


def fixed(user, scores):
    """Unit vectors with given cosines to ``user``."""
    axis = torch.zeros_like(user)
    axis[int(user.abs().argmin())] = 1.0
    axis = torch.nn.functional.normalize(axis - (axis @ user) * user, dim=0)
    cosine = torch.from_numpy(scores.astype(np.float32))[:, None]
    return cosine * user + torch.sqrt(1 - cosine**2) * axis


def test_a_model_that_knows_nothing_is_not_judged_perfect(shop, config):
    run = run_of(shop, config, text=False)
    with torch.no_grad():
        run.weights["ids"].zero_()
    run.judge(hold_out(shop[0], 40, 0)[1])
    assert run.ndcg == [0.0]


def gradient_of(run, batch):
    loss, rows, own = run.loss(batch)
    loss.backward()
    found = np.zeros(len(run.interactions))
    found[rows] = own.grad.norm(dim=1)
    return found


@pytest.mark.parametrize("whole", [0, 1_000])
def test_an_opening_is_ranked_within_itself(shop, config, whole):
    histories, _, categories = shop
    run = run_of(shop, config, text=False, dropout=0.0, negatives=500, full_softmax=whole)
    (batch, *_) = Batches(histories, categories, 6, 4, 1.0).epoch(np.random.default_rng(0))
    of_one = np.isin(categories[batch.answers], 1)
    batch = replace(batch, rows=batch.rows[of_one], places=batch.places[of_one], answers=batch.answers[of_one])
    unread = np.setdiff1d(np.arange(len(categories)), batch.items)
    assert len(unread[categories[unread] == 1]) > 20
    moved = gradient_of(run, batch) > 0
    assert moved[unread[categories[unread] == 1]].mean() > 0.9
    other = unread[categories[unread] == 0]
    assert not moved[other].any()


def test_groups_that_open_may_be_others_than_the_categories_that_are_read(shop, config):
    """Both halves of the only category; the codes that the model reads stay."""
    histories, text, categories = shop
    one = np.zeros_like(categories)
    asked = config.model_copy(update={"epochs": 1})
    alone = train(histories, text, one, asked)
    halves = train(histories, text, one, asked, openings=categories)
    assert halves.weights["category"].shape == alone.weights["category"].shape == (2, 16)
    assert not np.array_equal(halves.weights["text"], alone.weights["text"])
    run = Run(histories, text, one, config, openings=categories)
    (batch,) = [batch for batch in run.batches.epoch(np.random.default_rng(0)) if batch.opening][:1]
    first = batch.rows == batch.rows[0]
    read = batch.items[batch.rows[0], : batch.places[first][0] + 1]
    assert not set(categories[read]) & set(categories[batch.answers[first]])


def test_the_right_item_is_not_drawn_against_itself(shop, config):
    """With one item in all, which is drawn a hundred times, nothing is left to be wrong."""
    log = histories_of([0, 0], [0, 0, 0])
    log = replace(log, n_items=1)
    run = Run(log, None, np.zeros(1, np.int32), config.model_copy(update={"text": False}))
    (batch,) = run.batches.epoch(np.random.default_rng(0))
    assert run.loss(batch)[0].item() == pytest.approx(0, abs=1e-6)


def test_the_draw_is_corrected(shop, config):
    run = run_of(shop, config, negatives=64)
    drawn = np.maximum(run.interactions, 1) ** config.negative_power
    np.testing.assert_allclose(run.log_expected.numpy(), np.log(64 * drawn / drawn.sum()), rtol=1e-5)
    torch.manual_seed(0)
    often = np.bincount(torch.cat([run._draw() for _ in range(4_000)]).numpy(), minlength=len(drawn)) / 4_000
    np.testing.assert_allclose(often, np.exp(run.log_expected.numpy()), rtol=0.15)


def test_own_vectors_are_dropped_at_random(shop, config):
    run = run_of(shop, config)
    rows = torch.arange(len(run.interactions))
    with torch.no_grad():
        whole, dropped = run.item_vectors(rows), run.item_vectors(rows, 0.5)
        text = torch.nn.functional.normalize(run.text @ run.weights["text"], dim=-1)
    alike = torch.isclose(whole, dropped).all(dim=1).numpy()
    assert 0.3 < alike.mean() < 0.7
    assert torch.allclose(dropped[~alike], text[~alike])


@pytest.mark.parametrize("name", ["event", "gap", "category"])
def test_events_gaps_and_categories_are_read(shop, config, name):
    histories, _, _ = shop
    run = run_of(shop, config)
    batch = one(histories, 3)
    vectors = run.item_vectors(torch.from_numpy(batch.items))
    before = run.hidden(vectors, batch).detach()
    with torch.no_grad():
        run.weights[name] += torch.randn_like(run.weights[name])
    assert not torch.allclose(before, run.hidden(vectors, batch), atol=1e-3)


def test_the_caller_draws_as_if_nothing_had_been_trained(shop, config):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(*shop, config.model_copy(update={"epochs": 1}))
    assert torch.equal(torch.rand(1), expected)


def test_texts_that_are_no_numbers(shop, config):
    histories, text, categories = shop
    broken = text.copy()
    broken[7, 2] = np.nan
    with pytest.raises(InputError, match="that of item row 7 is not"):
        train(histories, broken, categories, config)


def test_a_training_that_diverges_says_so(shop, config, monkeypatch):
    monkeypatch.setattr(running, "sampled_softmax", lambda users, *_: users.sum() * float("nan"))
    with pytest.raises(KuapinError, match=r"the loss of pass 1 is nan\. Lower the learning rate"):
        train(*shop, config)


def test_on_another_device_everything_lies_there_and_the_result_comes_back(
    trained, shop, config, tmp_path, monkeypatch
):
    """No graphics card is needed: what is brought there is followed, and mixed with nothing that is not."""
    with Elsewhere() as device:
        with pytest.raises(AssertionError, match="mixed"):
            torch.ones(3).to(DEVICE) + torch.ones(3)
        with pytest.raises(AssertionError, match="numpy reads no tensor"):
            torch.ones(3).to(DEVICE).numpy()
        monkeypatch.setattr(running, "training_device", lambda: DEVICE)
        monkeypatch.setattr(training, "keep", undisturbed(training.keep))
        for epochs in (2, 4):  # the second goes on from the state of the first
            monkeypatch.setattr(training, "fingerprint", lambda *_: "the same")
            found = train(*shop, config.model_copy(update={"epochs": epochs}), folder=tmp_path)
        assert device.calls > 1_000
    assert found.ndcg == trained.ndcg
    assert all(np.array_equal(trained.weights[name], found.weights[name]) for name in trained.weights)
    with Elsewhere():
        go_on(trained, *shop, 1)
