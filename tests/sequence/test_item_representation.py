import numpy as np

from kuapin.sequence.item_representation import item_sums, unit, warmth
from kuapin.sequence.settings import SequenceConfig

CONFIG = SequenceConfig(embedding_size=8, fade=1.0)


def test_an_own_vector_fades_in():
    np.testing.assert_allclose(warmth(np.array([0, 1, 3]), 1.0), [0, 1 / 2, 3 / 4])


def test_a_cold_item_is_its_text_exactly_and_a_warm_one_is_both():
    rng = np.random.default_rng(0)
    weights = {"text": rng.standard_normal((4, 8)).astype(np.float32), "ids": np.ones((3, 8), np.float32)}
    text = rng.standard_normal((4, 4)).astype(np.float32)
    found = unit(item_sums(weights, CONFIG, text, np.array([0, 1, 2, -1]), np.array([0, 1, 3, 5])))
    read = text @ weights["text"]
    np.testing.assert_array_equal(found[0], (read[0] / np.linalg.norm(read[0])).astype(np.float32))
    added = np.array([[0.5], [0.75], [0.0]])  # the last came after training: it has none of its own
    wanted = read[1:] + added
    np.testing.assert_allclose(found[1:], wanted / np.linalg.norm(wanted, axis=1, keepdims=True), rtol=1e-5)


def test_without_text_a_cold_item_is_nothing():
    weights = {"text": np.zeros((0, 8), np.float32), "ids": np.ones((2, 8), np.float32)}
    config = SequenceConfig(embedding_size=8, text=False)
    found = unit(item_sums(weights, config, None, np.array([0, 1]), np.array([0, 2])))
    assert not found[0].any()
    np.testing.assert_allclose(found[1], np.full(8, 8**-0.5), rtol=1e-6)
