import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuapin.data.histories import Histories
from kuapin.retrieval.distinct import distinct_items, recent_items

USERS = st.lists(st.text("abcde", max_size=12), min_size=1, max_size=5)


@given(USERS, st.booleans())
def test_counts_and_last_meetings(users, huge):
    items = np.array([ord(letter) - ord("a") for letters in users for letter in letters], np.int32)
    indptr = np.cumsum([0, *map(len, users)])
    # With a catalogue this large, one number a row would not hold user, item and place: the other way is taken.
    n_items = 2**62 if huge else 5
    zeros = np.zeros(len(items), np.int64)
    found = distinct_items(Histories(indptr, items, zeros, zeros.astype(np.uint8), n_items, timed=True))
    for user, letters in enumerate(users):
        part = slice(found.indptr[user], found.indptr[user + 1])
        wanted = sorted(set(letters))
        assert found.items[part].tolist() == [ord(letter) - ord("a") for letter in wanted]
        assert found.counts[part].tolist() == [letters.count(letter) for letter in wanted]
        assert found.last[part].tolist() == [indptr[user] + letters.rindex(letter) for letter in wanted]


@pytest.mark.parametrize(("longest", "expected"), [(None, "cab"), (2, "ab"), (9, "cab")])
def test_recent_items(of, longest, expected):
    recent = recent_items(of("abcab", "", n_items=3), longest)
    assert "".join("abc"[item] for item in recent.of(0)) == expected
    assert recent.lengths.tolist() == [len(expected), 0]
