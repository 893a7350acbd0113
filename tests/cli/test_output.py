import pytest

from kuapin.cli.output import say_table

COLUMNS = {"id": ["a" * 20, "b"], "title": ["x" * 90, "short"], "brand": ["y" * 30, ""], "n": ["1", "22"]}


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.usefixtures("terminal")
def test_what_may_be_cut_gives_way_the_widest_first(capsys):
    say_table(COLUMNS, right=("n",), cut=("title", "brand"))
    head, first, second = capsys.readouterr().out.splitlines()
    assert max(map(len, (first, second))) <= 80
    identifier, title, brand, n = first.split()
    assert (identifier, n) == ("a" * 20, "1")
    assert title.endswith("…")
    assert abs(len(title) - len(brand)) <= 1
    assert second.split() == ["b", "short", "22"]
    assert "title" in head


@pytest.mark.usefixtures("terminal")
def test_what_wraps_is_whole(capsys):
    say_table({"id": ["a"], "reason": ["because " * 20]}, wrap=("reason",))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).split().count("because") == 20


def test_off_a_terminal_there_is_more_room(capsys):
    say_table(COLUMNS, cut=("title", "brand"))
    assert "x" * 90 in capsys.readouterr().out
