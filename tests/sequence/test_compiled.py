import numpy as np
import pytest
import torch

from kuapin.data.histories import empty_histories
from kuapin.errors import InputError, ModelFolderError
from kuapin.sequence.batches import gap_kinds, latest, padded
from kuapin.sequence.compiled import UserModel, save
from kuapin.sequence.model import hidden
from kuapin.sequence.training import train
from tests.sequence.test_batches import histories_of


@pytest.fixture(scope="module")
def trained(shop, config):
    return train(*shop, config)


@pytest.fixture(scope="module")
def folder(trained, shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequence")
    save(trained, shop[1], trained.interactions, shop[2], folder)
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


def test_one_user_and_many_agree_and_nobody_is_nothing(folder, shop):
    histories, text, _ = shop
    model = UserModel.load(folder)
    np.testing.assert_allclose(model.users(histories.select(np.array([7]))), model.users(histories)[7:8], atol=1e-4)
    assert not model.users(empty_histories(2, len(text), timed=True)).any()


def test_an_item_that_came_since_is_its_text(trained, shop, tmp_path):
    _, text, categories = shop
    more = np.vstack((text, text[:1]))
    save(trained, more, np.append(trained.interactions, 0), np.append(categories, 5), tmp_path)
    model = UserModel.load(tmp_path)
    read = text[0] @ trained.weights["text"]
    np.testing.assert_allclose(model.items[-1], read / np.linalg.norm(read), atol=1e-6)
    assert model.categories[-1] == 2  # none of those of training


def test_an_item_that_nobody_met_in_training_stays_its_text_when_it_sells(shop, config, tmp_path):
    histories, text, categories = shop
    cold = int(histories.items[0])
    done = train(histories.keep(histories.items != cold), text, categories, config.model_copy(update={"epochs": 1}))
    sold = done.interactions.copy()
    sold[cold] = 5
    save(done, text, sold, categories, tmp_path)
    read = text[cold] @ done.weights["text"]
    np.testing.assert_allclose(UserModel.load(tmp_path).items[cold], read / np.linalg.norm(read), atol=1e-6)


def test_what_does_not_fit_is_refused(trained, folder, shop, tmp_path):
    _, text, categories = shop
    with pytest.raises(InputError, match="no text vectors came"):
        save(trained, None, trained.interactions, categories, tmp_path)
    with pytest.raises(InputError, match="79 categories"):
        save(trained, text, trained.interactions, categories[:79], tmp_path)
    newer = histories_of([0, 80])
    with pytest.raises(InputError, match="item row 80; this user model knows 80 items"):
        UserModel.load(folder).users(newer)


def test_a_description_that_is_none_is_refused(trained, shop, tmp_path):
    save(trained, shop[1], trained.interactions, shop[2], tmp_path)
    (tmp_path / "sequence.json").write_text("[]")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        UserModel.load(tmp_path)


@pytest.mark.parametrize("part", ["sequence.json", "items.safetensors", "graph.bin"])
def test_a_folder_cut_short_is_refused_by_name(trained, shop, tmp_path, part):
    save(trained, shop[1], trained.interactions, shop[2], tmp_path)
    path = tmp_path / part
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelFolderError, match=part.split(".")[0] if part != "sequence.json" else "user model"):
        UserModel.load(tmp_path)
