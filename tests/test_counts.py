from kuapin.counts import counted


def test_one_is_singular_and_all_others_are_not():
    assert [counted(n, "fault") for n in (0, 1, 1234)] == ["0 faults", "1 fault", "1,234 faults"]
    assert [counted(n, "person", "people") for n in (1, 2)] == ["1 person", "2 people"]
