import pytest

from kuapin.retrieval.recent import recent_items


@pytest.mark.parametrize(("longest", "expected"), [(None, "cab"), (2, "ab"), (9, "cab")])
def test_recent_items(of, longest, expected):
    recent = recent_items(of("abcab", "", n_items=3), longest)
    assert "".join("abc"[item] for item in recent.of(0)) == expected
    assert recent.lengths.tolist() == [len(expected), 0]
