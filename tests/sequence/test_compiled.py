import numpy as np
import pytest
import torch

from kuapin.columns import EVENTS
from kuapin.data.histories import empty_histories, from_interactions
from kuapin.errors import InputError, ModelFolderError
from kuapin.sequence.batches import gap_kinds, latest, padded
from kuapin.sequence.compiled import FILE, UserModel
from kuapin.sequence.item_representation import unit
from kuapin.sequence.model import hidden
from kuapin.sequence.run import Run
from kuapin.sequence.settings import SequenceConfig
from kuapin.sequence.trained import Trained
from kuapin.sequence.training import go_on, train
from tests.sequence.test_batches import histories_of


@pytest.fixture(scope="module")
def trained(shop, config):
    return train(*shop, config)


@pytest.fixture(scope="module")
def folder(trained, shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequence")
    UserModel.of(trained, shop[1], trained.interactions, shop[2]).save(folder)
    return folder


def test_compiled_and_trained_agree(trained, folder, shop, config):
    histories, _, categories = shop
    model = UserModel.load(folder)
    users = model.users(histories)
    spans = latest(histories, config.max_history)
    batch = padded(histories, gap_kinds(histories), spans)
    weights = {name: torch.from_numpy(value) for name, value in trained.weights.items()}
    kinds = (torch.from_numpy(batch.events), torch.from_numpy(batch.gaps))
    of_item = torch.from_numpy(categories.astype(np.int64)[batch.items])
    found = hidden(weights, config, torch.from_numpy(model.items[batch.items]), *kinds, of_item)
    expected = found[np.arange(len(spans)), np.diff(spans)[:, 0] - 1].numpy() * np.exp(trained.weights["scale"])
    np.testing.assert_allclose(users, expected, atol=1e-3)
    one, two = users @ model.items.T, expected @ model.items.T
    same = np.argsort(-one, axis=1)[:, :10] == np.argsort(-two, axis=1)[:, :10]
    assert same.all(axis=1).mean() >= 0.99


@pytest.mark.parametrize("models", [1, 2])
def test_at_its_default_size_the_compiled_model_gives_the_items_users_and_lists_of_the_trained_one(models):
    """Trained for one pass and then shaken, so that what begins with 0 counts; each side with its own items."""
    rng, config = np.random.default_rng(0), SequenceConfig(epochs=1)
    n_items, lengths = 2_000, rng.integers(1, 70, 300)
    users, n = np.repeat(np.arange(len(lengths)), lengths), int(lengths.sum())
    times, events = rng.integers(1_500_000_000, 1_600_000_000, n), rng.integers(0, len(EVENTS), n).astype(np.uint8)
    items = rng.zipf(1.2, n) % n_items
    log = from_interactions(users, items, times, events, n_users=len(lengths), n_items=n_items, timed=True)
    text = unit(rng.standard_normal((n_items, 384)).astype(np.float32))
    categories = rng.integers(0, 5, n_items).astype(np.int32)
    runs = [Run(log, text, categories, config.member(number)) for number in range(models)]
    spans, gaps = latest(log, config.max_history), gap_kinds(log)
    trained, scores = [], []
    for run in runs:
        run.learn()
        with torch.no_grad():
            run.own.settle()
            for value in run.weights.values():
                value += 0.1 * torch.randn_like(value)
            own_items = run._all_items()
            batch = padded(log, gaps, spans)
            found = run.hidden(own_items[torch.from_numpy(batch.items)], batch)
            own_users = found[np.arange(len(spans)), np.diff(spans)[:, 0] - 1] * run.weights["scale"].exp()
        weights = {name: value.detach().numpy() for name, value in run.weights.items()}
        trained.append(Trained(config, weights, run.interactions, (0.0,), 0.0))
        scores.append((own_users @ own_items.T).numpy())
        if models == 1:
            model = UserModel.restore(UserModel.of(trained, text, run.interactions, categories).arrays())
            np.testing.assert_allclose(model.items, own_items.numpy(), atol=1e-3)
            np.testing.assert_allclose(model.users(log), own_users.numpy(), atol=1e-3)
    model = UserModel.restore(UserModel.of(trained, text, runs[0].interactions, categories).arrays())
    compiled, expected = model.users(log) @ model.items.T, np.mean(scores, axis=0)
    np.testing.assert_allclose(compiled, expected, atol=1e-3)
    assert len(set(np.argsort(-expected, axis=1)[:, 0].tolist())) > 50  # lists differ, as those of a shop do
    same = np.argsort(-compiled, axis=1)[:, :10] == np.argsort(-expected, axis=1)[:, :10]
    assert same.all(axis=1).mean() >= 0.99


def test_one_user_and_many_agree_and_nobody_is_nothing(folder, shop):
    histories, text, _ = shop
    model = UserModel.load(folder)
    np.testing.assert_allclose(model.users(histories.select(np.array([7]))), model.users(histories)[7:8], atol=1e-4)
    assert not model.users(empty_histories(2, len(text), timed=True)).any()


def test_an_item_that_came_since_is_its_text(trained, shop, tmp_path):
    _, text, categories = shop
    more = np.vstack((text, text[:1]))
    model = UserModel.of(trained, more, np.append(trained.interactions, 0), np.append(categories, 5))
    read = text[0] @ trained.weights["text"]
    np.testing.assert_allclose(model.items[-1], read / np.linalg.norm(read), atol=1e-6)
    np.testing.assert_allclose(model.cold(text[:1])[0], model.items[-1], atol=1e-6)
    assert model.categories[-1] == 2  # none of those of training


def test_an_item_that_nobody_met_in_training_stays_its_text_when_it_sells(shop, config, tmp_path):
    histories, text, categories = shop
    cold = int(histories.items[0])
    done = train(histories.keep(histories.items != cold), text, categories, config.model_copy(update={"epochs": 1}))
    sold = done.interactions.copy()
    sold[cold] = 5
    read = text[cold] @ done.weights["text"]
    found = UserModel.of(done, text, sold, categories).items[cold]
    np.testing.assert_allclose(found, read / np.linalg.norm(read), atol=1e-6)


def test_what_does_not_fit_is_refused(trained, folder, shop, tmp_path):
    _, text, categories = shop
    with pytest.raises(InputError, match="no text vectors came"):
        UserModel.of(trained, None, trained.interactions, categories)
    with pytest.raises(InputError, match="79 categories"):
        UserModel.of(trained, text, trained.interactions, categories[:79])
    newer = histories_of([0, 80])
    with pytest.raises(InputError, match="item row 80; this user model knows 80 items"):
        UserModel.load(folder).users(newer)


@pytest.mark.parametrize("part", ["config", "items", "graph"])
def test_a_part_that_is_missing_or_broken_is_refused(trained, shop, part):
    arrays = UserModel.of(trained, shop[1], trained.interactions, shop[2]).arrays()
    with pytest.raises(ModelFolderError, match="cannot be read"):
        UserModel.restore({name: array for name, array in arrays.items() if name != part})
    with pytest.raises(ModelFolderError):
        UserModel.restore(arrays | {part: arrays[part][: len(arrays[part]) // 2]})


def test_a_file_cut_short_is_refused_by_name(folder, tmp_path):
    whole = (folder / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFolderError, match=FILE):
        UserModel.load(tmp_path)


def test_what_a_release_holds_is_enough_to_go_on_from(trained, folder, shop):
    """Own vectors come back out of unit vectors and lengths; items that came since begin with none."""
    histories, text, categories = shop
    (back,) = UserModel.load(folder).trained(np.vstack((text, text[:2])), len(text) + 2)
    met = trained.interactions > 0
    for name in ("text", "category", "scale"):
        np.testing.assert_array_equal(back.weights[name], trained.weights[name])
    np.testing.assert_allclose(back.weights["ids"][:-2][met], trained.weights["ids"][met], atol=1e-5)
    assert not back.weights["ids"][-2:].any()
    assert (back.passes, back.adapted) == (trained.passes, False)
    np.testing.assert_array_equal(back.interactions[:-2], trained.interactions)

    one, two = (
        go_on(model, histories, text, categories, 1)
        for model in (trained, *UserModel.load(folder).trained(text, len(text)))
    )
    for name in one.weights:
        rows = met if name == "ids" else ...
        np.testing.assert_allclose(one.weights[name][rows], two.weights[name][rows], atol=2e-3)


def test_an_older_model_cannot_be_gone_on_from(folder, shop):
    model = UserModel.load(folder)
    older = {name: value for name, value in model.arrays().items() if not name.startswith("learnt.")}
    assert UserModel.restore(older).trained(shop[1], len(shop[1])) == ()


def test_what_has_another_text_by_now_begins_as_that(trained, folder, shop):
    _, text, _ = shop
    other = text.copy()
    other[0] = text[40]
    (back,) = UserModel.load(folder).trained(other, len(text))
    assert not back.weights["ids"][0].any()
    np.testing.assert_allclose(back.weights["ids"][1:5], trained.weights["ids"][1:5], atol=1e-5)


def test_without_texts_new_items_begin_as_nothing(shop, config):
    histories, text, categories = shop
    trained = train(histories, None, categories, config.model_copy(update={"text": False, "epochs": 1}))
    model = UserModel.of(trained, None, trained.interactions, categories)
    (back,) = model.trained(None, len(text) + 2)
    np.testing.assert_allclose(
        back.weights["ids"][:-2][trained.interactions > 0], trained.weights["ids"][trained.interactions > 0], atol=1e-5
    )
    assert not back.weights["ids"][-2:].any()
