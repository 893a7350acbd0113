import numpy as np
import pytest

from kuapin.data.histories import from_interactions
from kuapin.sequence.settings import SequenceConfig

TASTES, EACH, USERS = 4, 20, 120


@pytest.fixture(scope="session")
def shop():
    """People of four tastes in two categories; items 10 to 19 of a taste are in the second. Texts tell the taste."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(USERS), 8)
    items = (users % TASTES) * EACH + rng.integers(0, EACH, len(users))
    times = np.tile(np.arange(8) * 3600, USERS) + 1_000_000
    events = rng.integers(0, 4, len(users)).astype(np.uint8)
    n_items = TASTES * EACH
    histories = from_interactions(users, items, times, events, n_users=USERS, n_items=n_items, timed=True)
    text = rng.standard_normal((n_items, 16)) + 4 * np.repeat(rng.standard_normal((TASTES, 16)), EACH, axis=0)
    text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)
    categories = ((np.arange(n_items) % EACH) >= EACH // 2).astype(np.int32)
    return histories, text, categories


@pytest.fixture(scope="session")
def config():
    return SequenceConfig(
        embedding_size=16, heads=2, layers=1, max_history=6, dropout=0.1, negatives=16, full_softmax=0, batch_size=16,
        epochs=4, validation_users=40, learning_rate=0.01,
    )  # fmt: skip
