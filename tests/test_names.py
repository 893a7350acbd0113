from kuapin import names as names_module
from kuapin.names import listed, offered, shortened


def test_the_nearest_name_then_those_that_exist():
    assert offered("hom", ["Beauty", "Home"], "categories") == "Did you mean Home? The categories are Beauty, Home."
    assert offered("Cars", ["Beauty", "Home"], "categories") == "The categories are Beauty, Home."
    assert offered("Home > Lamp", ["Home"], "shelves", also=["Home > Lamps"]).startswith("Did you mean Home > Lamps? ")
    assert offered("x", [], "brands") == "There are no brands."


def test_a_long_list_is_cut_off_and_its_end_can_still_be_meant():
    names = [f"Shelf {number:02}" for number in range(20)]
    told = offered("shelf 19", names, "shelves")
    assert told.startswith("Did you mean Shelf 19? The shelves are Shelf 00, ")
    assert told.endswith("Shelf 11 and 8 more.")


def test_of_very_many_names_few_that_begin_alike_are_compared(monkeypatch):
    compared = []
    monkeypatch.setattr(names_module, "get_close_matches", lambda _, names, n: compared.append(list(names)) or [])
    offered("B1", [f"{'ab'[number % 2]}{number:05}" for number in range(50_000)], "brands")
    assert len(compared[0]) == names_module.COMPARED
    assert {name[0] for name in compared[0]} == {"b"}
    offered("b1", ["a", "b"], "brands")
    assert compared[1] == ["a", "b"]


def test_a_list_with_commas_takes_names_that_have_commas_themselves():
    known = {"Arts, Crafts & Sewing", "Crafts & Sewing", "Home", "Arts"}
    assert listed("Arts, Crafts & Sewing, Home", known) == ["Arts, Crafts & Sewing", "Home"]
    assert listed(" Home ,Arts,", known) == ["Home", "Arts"]
    assert listed("Home, Beuty", known) == ["Home", "Beuty"]
    assert listed("", known) == []


def test_of_ninety_names_twelve_are_said():
    said = shortened([f"c{number}" for number in range(90)])
    assert said.startswith("c0, c1, ")
    assert said.endswith("c11 and 78 more")
    assert shortened(["a", "b"]) == "a, b"
