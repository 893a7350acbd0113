import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kuapin.data.histories import Histories

USERS = st.lists(st.text("abcde", max_size=12), min_size=1, max_size=5)


@given(USERS, st.booleans())
def test_counts_and_last_meetings(users, huge):
    items = np.array([ord(letter) - ord("a") for letters in users for letter in letters], np.int32)
    indptr = np.cumsum([0, *map(len, users)])
    # With a catalogue this large, one number a row would not hold user, item and place: the other way is taken.
    n_items = 2**62 if huge else 5
    zeros = np.zeros(len(items), np.int64)
    found = Histories(indptr, items, zeros, zeros.astype(np.uint8), n_items, timed=True).distinct()
    for user, letters in enumerate(users):
        part = slice(found.indptr[user], found.indptr[user + 1])
        wanted = sorted(set(letters))
        assert found.items[part].tolist() == [ord(letter) - ord("a") for letter in wanted]
        assert found.counts[part].tolist() == [letters.count(letter) for letter in wanted]
        assert found.last[part].tolist() == [indptr[user] + letters.rindex(letter) for letter in wanted]


def test_pairs_are_found_where_they_are_and_nowhere_else():
    zeros = np.zeros(5, np.int64)
    items = np.array([3, 1, 3, 0, 4], np.int32)
    histories = Histories(np.array([0, 3, 3, 5]), items, zeros, zeros.astype(np.uint8), 5, timed=True)
    found = histories.distinct()
    place = found.find(np.array([0, 3, 4, 6]), np.array([1, 2, 3, 3, 0, 3], np.int32))
    assert place.tolist() == [0, -1, 1, -1, 2, -1]
    assert found.items[place[place >= 0]].tolist() == [1, 3, 0]
