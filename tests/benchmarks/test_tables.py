"""The page of figures says what the results say."""

from benchmarks.tables import PAGE, page


def test_the_page_is_as_the_results_are():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m benchmarks.tables"


def test_what_is_missing_is_said(tmp_path):
    text = page(tmp_path)
    assert text.count("Not measured in full yet.") == text.count("\n## ") == 5
