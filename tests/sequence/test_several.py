import numpy as np
import pytest

from kuapin.errors import InputError
from kuapin.sequence.several import Log, joined
from tests.sequence.test_batches import histories_of


def shop_of(*lists, size=3):
    text = np.arange(8 * size, dtype=np.float32).reshape(8, size)
    return Log(histories_of(*lists), text, np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32), np.arange(8, dtype=np.int32))


def test_users_items_and_categories_follow_each_other():
    one, other = shop_of([0, 1], [7]), shop_of([2, 2, 5])
    both = joined([one, other])
    assert both.histories.n_items == len(both.text) == 16
    assert [both.histories.of(user).tolist() for user in range(3)] == [[0, 1], [7], [10, 10, 13]]
    assert both.categories[both.histories.items].tolist() == [0, 0, 1, 2, 2, 3]
    assert np.array_equal(both.text[8:], other.text)
    assert both.openings.tolist() == list(range(16))


def test_texts_of_different_lengths_and_no_shop():
    with pytest.raises(InputError, match=r"lengths \[3, 4\] came"):
        joined([shop_of([0, 1]), shop_of([0, 1], size=4)])
    with pytest.raises(InputError, match=r"lengths \[\] came"):
        joined([])
