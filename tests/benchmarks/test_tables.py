"""The page of figures says what the results say."""

import subprocess

import pytest

from benchmarks.tables import ABOUT, PAGE, measured, page
from kuapin.pipeline.report_home import read_measured


def test_the_page_is_as_the_results_are(root):
    """`make demo` and the benchmarks leave new results in a checkout, of which the page need not tell yet."""
    status = ["git", "status", "--porcelain", "--", "benchmarks/results/*.json"]
    changed = subprocess.run(status, cwd=root, capture_output=True, text=True, check=False)
    if changed.returncode != 0 or changed.stdout.strip():
        pytest.skip("measured again here, or no git checkout")
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m benchmarks.tables"
    assert read_measured() == measured(), "run: python -m benchmarks.tables"
    assert "{" not in "".join(measured().values())


def test_what_is_missing_is_said(tmp_path):
    text = page(tmp_path)
    assert text.count("Not measured in full yet.") == text.count("\n## ") == len(ABOUT) >= 13
