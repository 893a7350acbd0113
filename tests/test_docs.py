"""The docs keep up with the code."""

import importlib.util
import re
from pathlib import Path

import pytest

from kuapin.cli.app import VERBS
from kuapin.config import settings
from kuapin.data.importers import FORMATS
from kuapin.data.schema import SCHEMAS
from kuapin.ranking.reason_kinds import CODES as PRODUCTS
from kuapin.storefront import SURFACES
from kuapin.surfaces import bundles, campaigns, home, profile, trends
from kuapin.surfaces.similar import CODES as SIMILAR

ROOT = Path(__file__).parent.parent
_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_is_what_the_code_says(page):
    assert read(f"docs/{page}") == generate.PAGES[page](), "run `make docs`"


def test_the_generated_pages_hold_every_verb_and_setting():
    verbs = [verb for panel in VERBS.values() for verb in panel]
    assert len(verbs) >= 10
    assert re.findall(r"^### kuapin (\S+)$", read("docs/cli.md"), re.M) == verbs
    keys = re.findall(r"^\| `(\w+)` \|", read("docs/configuration.md"), re.M)
    assert keys == [setting.key.rpartition(".")[2] for setting in settings()]


def test_links_lead_somewhere():
    links = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target)
    ]
    assert len(links) > 10
    assert [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()] == []


def test_commands_in_the_docs_exist():
    verbs = {verb for panel in VERBS.values() for verb in panel}
    pages = [page for page in PAGES if page.name not in ("design.md", "cli.md")]
    used = [
        (page.name, verb)
        for page in pages
        for block in re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        for verb in re.findall(r"^kuapin (\S+)", block, re.M)
    ]
    assert len(used) > 10
    assert [entry for entry in used if entry[1] not in verbs] == []


def test_makefile_targets_in_the_readme_exist():
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))
    used = set(re.findall(r"\bmake ([a-z]+)\b(?! `)", "\n".join(re.findall(r"```\n(.*?)```", read("README.md"), re.S))))
    assert {"demo", "test"} <= used <= targets


def test_the_tree_in_the_readme_has_every_package():
    tree = read("README.md").split("## Where things are")[1].split("```")[1]
    packages = [path.parent for path in (ROOT / "src/kuapin").rglob("__init__.py")][1:]
    assert len(packages) >= 10
    assert [path.name for path in packages if not re.search(rf"^ +{path.name}/ ", tree, re.M)] == []
    for name in re.findall(r"^ +(\w+)/ ", tree, re.M):
        assert any(path.name == name for path in packages), f"{name}/ is in the README only"


def test_the_page_of_recommendations_has_every_reason():
    codes = re.findall(r"^\| (\w+) \|", read("docs/recommend.md").split("## Why is this shown?")[1], re.M)
    assert [code for code in codes if code != "reason_code"] == [*PRODUCTS, *SIMILAR]


def test_the_import_page_has_every_column_rule_and_format():
    page = read("docs/import.md")
    words = set(re.findall(r"\w+", page))
    columns = {column.name for schema in SCHEMAS.values() for column in schema.columns}
    assert len(columns) > 30
    assert columns - words == set()
    assert {name for name in FORMATS if name != "auto" and f"`{name}`" not in page} == set()
    sources = "\n".join(read(f"src/kuapin/data/{name}.py") for name in ("validation", "rules")) + read(
        "src/kuapin/workspace.py"
    )
    rules = set(re.findall(r"Action\.[A-Z_]+,\s+\"([a-z ]+)\"", sources)) | set(
        re.findall(r"rule, advice = \(?\s*\"([a-z ]+)\"", sources)
    )
    assert len(rules) >= 18
    assert {rule for rule in rules if rule not in page} == set()


def test_the_threat_model_names_tests_that_exist():
    page = read("docs/threat_model.md")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in sources} == set()
    assert [f"API{number}" for number in range(1, 11) if f"| API{number} " not in page] == []


def test_the_page_of_the_service_has_every_route():
    from kuapin.serving.routes import health, interactions, items, models, recommendations, users

    page = read("docs/serve.md")
    routers = (recommendations, items, users, interactions, models, health)
    paths = {route.path for router in routers for route in router.router.routes}
    assert len(paths) >= 14
    assert {path for path in paths if path not in page} == set()


def test_every_surface_and_its_reasons_are_told():
    page = read("docs/surfaces.md")
    assert [name for name in SURFACES if f"\n## {name}\n" not in page] == []
    codes = [*bundles.CODES, *campaigns.CODES, *trends.CODES, *profile.KINDS, *bundles.COMPLETES, *bundles.REPLACES]
    assert [code for code in codes if f"`{code}`" not in page] == []
    assert [name for name, share in home.SHARES.items() if f"{name} {share:.0%}" not in page] == []


def test_every_alert_and_figure_has_its_words():
    from kuapin.serving.monitoring import Monitor

    page = read("docs/operate.md")
    alerts = re.findall(r"alert: (\w+)", read("operations/alerts.yml"))
    assert len(alerts) > 15
    assert re.findall(r"^### (\w+)$", page, re.M) == alerts
    severity = dict(re.findall(r"alert: (\w+).*?severity: (\w+)", read("operations/alerts.yml"), re.S))
    assert dict(re.findall(r"^### (\w+)\n(\w+)\.", page, re.M)) == {k: v.title() for k, v in severity.items()}
    figures = {metric.name for metric in Monitor().registry.collect()}
    assert len(figures) > 20
    assert {name for name in figures if name not in page} == set()


def test_the_page_of_reliability_names_tests_that_exist():
    named = set(re.findall(r"`(test_\w+)`", read("docs/reliability.md")))
    assert len(named) > 12
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in sources} == set()
