import numpy as np
import pytest

from kuapin.data.histories import from_interactions
from kuapin.errors import InputError
from kuapin.retrieval.whitening import fit_whitening
from kuapin.sequence.compiled import UserModel
from kuapin.sequence.starting import Start
from kuapin.sequence.training import ADAPTER, go_on, train
from kuapin.sequence.validation import hold_out
from tests.sequence.conftest import EACH, TASTES


@pytest.fixture(scope="module")
def first(shop, config):
    """A trained user model, and the whitening of its shop."""
    histories, text, categories = shop
    whitening = fit_whitening(text)
    done = train(histories, whitening.of(text), categories, config)
    return UserModel.of(done, whitening.of(text), done.interactions, categories), whitening, done


@pytest.fixture(scope="module")
def start(first):
    model, whitening, _ = first
    return Start.of(model, whitening.axes)


@pytest.fixture(scope="module")
def other(shop):
    """Another shop: other items of the same tastes, read by the same language model, all texts moved a little."""
    rng = np.random.default_rng(9)
    text = shop[1] + 0.3 * rng.standard_normal(shop[1].shape) + 0.2 * rng.standard_normal(shop[1].shape[1])
    text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)
    users = np.repeat(np.arange(60), 8)
    items = (users % TASTES) * EACH + rng.integers(0, EACH, len(users))
    times, events = np.tile(np.arange(8) * 3600, 60), np.zeros(len(users), np.uint8)
    log = from_interactions(users, items, times, events, n_users=60, n_items=len(text), timed=True)
    return log, text, np.zeros(len(text), np.int32)


def test_in_its_own_shop_it_is_what_it_was(first, start, shop):
    """But for own vectors and categories, which are left behind."""
    model, whitening, _ = first
    white = whitening.of(shop[1])
    again = start.on(whitening.axes, white).untuned(white)
    np.testing.assert_allclose(again.items, model.cold(white), atol=1e-4)
    without = model.with_items(model.cold(white), np.full(len(white), 99))
    np.testing.assert_allclose(again.users(shop[0]), without.users(shop[0]), atol=1e-3)


def test_in_another_shop_it_finds_whose_taste_it_is(start, other):
    """A quarter is right by chance."""
    log, text, _ = other
    whitening = fit_whitening(text)
    white = whitening.of(text)
    _, asked = hold_out(log, 60, 0)
    model = start.on(whitening.axes, white).untuned(white)
    best = np.argsort(-(model.users(asked.queries) @ model.items.T), axis=1)[:, :10]
    assert (best // EACH == (asked.answers // EACH)[:, None]).mean() > 0.5


def test_an_untuned_model_knows_no_category_of_the_new_shop(start, other):
    _, text, _ = other
    whitening = fit_whitening(text)
    white = whitening.of(text)
    model = start.on(whitening.axes, white).untuned(white)
    again = UserModel.restore(model.arrays()).with_items(model.items, np.zeros(len(white), np.int64))
    assert (again.categories == start.none).all()


@pytest.mark.parametrize("tune", ["all", "adapter"])
def test_what_is_tuned(start, other, config, tune):
    log, text, categories = other
    whitening = fit_whitening(text)
    white = whitening.of(text)
    mine = start.on(whitening.axes, white)
    # another shape is asked for: that of the start is taken
    tuned = config.model_copy(update={"tune": tune, "epochs": 2, "layers": 2, "embedding_size": 32})
    done = train(log, white, categories, tuned, start=mine)
    more = go_on(done, log, white, categories, 1)
    for name, value in mine.weights[0].items():
        kept = tune == "adapter" and name not in ADAPTER
        for weights in (done.weights, more.weights):
            assert np.array_equal(weights[name], value) == kept, name
    assert not np.allclose(done.weights["text"], mine.text)
    assert np.abs(done.weights["ids"]).max() > 0
    initial = mine.initial(mine.shaped(tuned), log.n_items)
    assert not initial["ids"].any()
    model = UserModel.of(more, white, more.interactions, categories)
    assert Start.of(model, whitening.axes).config.embedding_size == config.embedding_size


def test_several_models_start_as_many_as_are_wanted(first, shop, other, config):
    """Each of one; untuned they are the mean of what each would be alone."""
    _, whitening, done = first
    second = train(shop[0], whitening.of(shop[1]), shop[2], config.model_copy(update={"epochs": 1}), member=1)
    log, text, categories = other
    mine = fit_whitening(text)
    white = mine.of(text)

    def start_of(trained):
        model = UserModel.of(trained, whitening.of(shop[1]), done.interactions, shop[2])
        return Start.of(model, whitening.axes).on(mine.axes, white)

    both, alone = start_of([done, second]), [start_of(done), start_of(second)]
    scores = [start.untuned(white).users(log) @ start.untuned(white).items.T for start in (both, *alone)]
    np.testing.assert_allclose(scores[0], (scores[1] + scores[2]) / 2, atol=1e-4)
    for member, start in enumerate((*alone, alone[0])):
        expected = start.initial(config, len(text))
        found = both.initial(config, len(text), member)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    tuned = config.model_copy(update={"epochs": 1, "models": 3})
    third = train(log, white, categories, tuned, start=both, member=2)
    assert third.config.seed == 2
    assert np.isfinite(third.weights["text"]).all()


def test_bad_input(first, start, other, shop, config):
    model, whitening, _ = first
    log, text, categories = other
    with pytest.raises(InputError, match="reads text vectors of length 16, this shop has length 7"):
        start.on(np.eye(7, dtype=np.float32), np.zeros((3, 7), np.float32))
    white = whitening.of(text)
    none = config.model_copy(update={"tune": "none"})
    mine = start.on(whitening.axes, white)
    with pytest.raises(InputError, match='With tune = "none" nothing is trained'):
        train(log, white, categories, none, start=mine)
    old = {name: value for name, value in model.arrays().items() if not name.startswith("tensor.")}
    with pytest.raises(InputError, match="an older Kuapin trained starts no other shop"):
        Start.of(UserModel.restore(old | {"none": old["none"][:1]}), whitening.axes)
    blind = train(*shop, config.model_copy(update={"text": False, "epochs": 1}))
    with pytest.raises(InputError, match="reads no texts starts no other shop"):
        Start.of(UserModel.of(blind, None, blind.interactions, shop[2]), whitening.axes)
