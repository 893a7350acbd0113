from kuapin.names import offered


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
