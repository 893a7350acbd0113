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


def test_an_id_is_never_cut(capsys, monkeypatch):
    """Two long ids that begin alike are whole on a narrow terminal, on several lines, and numbers are on one."""
    monkeypatch.setattr("kuapin.cli.output._WIDE", 46)
    ids = ["3f2b8c1e-aaaa-bbbb-cccc-123456789012", "3f2b8c1e-aaaa-bbbb-cccc-123456789099"]
    cells = {
        "rank": ["1", "2"],
        "item_id": ids,
        "title": ["A long title of an item"] * 2,
        "score": ["0.1234", "0.0123"],
    }
    say_table(cells, right=("rank", "score"), cut=("title",))
    shown = capsys.readouterr().out
    assert "0.1234" in shown
    assert "0.0123" in shown
    assert "".join(line[6:].split("  ")[0].strip() for line in shown.splitlines()[1:]) == "".join(ids)
