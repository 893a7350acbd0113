"""In a real browser: by keyboard, in both languages and colours, at two widths, and by the rules of axe-core."""

import re
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from kuapin.service_settings import ServiceConfig
from kuapin.serving.app import create_app
from tests import served
from tests.serving.console.asking import HOST
from tests.serving.console.conftest import show_and_click

CHROMIUM = which("chromium")
PAGES = (
    "/", "/?user=user+003", "/visitor?item=B-rose-soap-small", "/compare?user=user+003", "/rules?user=user+003",
    "/review?done=1", "/versions", "/reports", "/launches", "/drift", "/outcomes", "/experiments", "/health", "/keys",
    "/nowhere",
)  # fmt: skip
AA = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; .ci/run installs it")


@contextmanager
def serving(shop):
    """The service on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = ServiceConfig(deadline_ms=20_000, queue_ms=20_000)
    server = uvicorn.Server(uvicorn.Config(create_app(shop, config), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        show_and_click(server.config.app.state.service)
        yield f"{HOST}:{port}/console"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def looking(browser, **options):
    """A tab; what it complains of is kept."""
    context = browser.new_context(**({"locale": "en-GB", "viewport": {"width": 1280, "height": 800}} | options))
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type in ("error", "warning") else None)
    try:
        yield page
    finally:
        context.close()


def sign_in(page, root, key):
    page.goto(f"{root}/")
    page.get_by_label(re.compile("Key|密钥")).fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{root}/")


@pytest.mark.parametrize(
    ("locale", "scheme"),
    [
        ("en-GB", "light"),
        ("zh-CN", "dark"),
        pytest.param("en-GB", "dark", marks=pytest.mark.nightly),
        pytest.param("zh-CN", "light", marks=pytest.mark.nightly),
    ],
)
def test_every_page_passes_axe_and_fits_the_screen(rich, browser, locale, scheme):
    key = served.key(rich, "admin")
    wide = {"width": 1280, "height": 800} if scheme == "light" else {"width": 375, "height": 800}
    with serving(rich) as root, looking(browser, locale=locale, color_scheme=scheme, viewport=wide) as page:
        page.goto(f"{root}/")
        found = [("sign in", Axe().run(page, options=AA).response["violations"])]
        sign_in(page, root, key)
        for path in PAGES:
            page.goto(root + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            found.append((path, Axe().run(page, options=AA).response["violations"]))
        assert page.evaluate("document.documentElement.lang") == ("zh-Hans" if locale == "zh-CN" else "en")
        faults = [
            (path, one["id"], one["help"], one["nodes"][0]["html"][:200]) for path, all_of in found for one in all_of
        ]
        assert faults == []
        assert [said for said in page.complaints if "404" not in said] == []


def test_axe_finds_what_is_wrong(rich, browser):
    with serving(rich) as root, looking(browser) as page:
        page.goto(f"{root}/sign-in")
        page.evaluate("document.querySelector('label').remove(); document.querySelector('h1').style.color = '#ccc'")
        found = {one["id"] for one in Axe().run(page, options=AA).response["violations"]}
        assert {"label", "color-contrast"} <= found


def test_a_category_manager_works_by_keyboard_alone(rich, browser):
    key = served.key(rich, "admin")
    with serving(rich) as root, looking(browser) as page:
        sign_in(page, root, key)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_label("User id")).to_be_focused()
        page.keyboard.type("user 00")
        expect(page.locator("#found option")).to_have_count(10)
        page.keyboard.type("3")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Products")).to_be_visible()
        page.get_by_role("link", name="Review").focus()
        page.keyboard.press("Enter")
        allow = page.get_by_role("button", name="Allow: sea lamp large")
        allow.focus()
        page.keyboard.press("Enter")
        apply = page.get_by_role("button", name="Apply now")
        apply.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{root}/review")
        expect(page.get_by_text("1 wait for a decision")).to_be_visible()
        assert page.complaints == []


def test_a_visitors_page_follows_the_clicks(rich, browser):
    key = served.key(rich, "admin")
    with serving(rich) as root, looking(browser) as page:
        sign_in(page, root, key)
        page.get_by_role("link", name="What a visitor sees").first.click()
        expect(page.get_by_text("Popular in the shop", exact=True)).to_be_visible()
        page.get_by_label("Search titles").fill("mint soap")
        page.keyboard.press("Enter")
        page.locator(".found a").first.click()
        expect(page.get_by_text("This visit", exact=True)).to_be_visible()
        before = page.locator(".surface.products .name").all_inner_texts()
        page.locator(".surface.products a.name").nth(2).click()
        expect(page.locator(".clicked li")).to_have_count(2)
        assert page.locator(".surface.products .name").all_inner_texts() != before
        page.get_by_role("link", name=re.compile("Take away")).first.click()
        expect(page.locator(".clicked li")).to_have_count(1)
        assert page.locator(".surface.products .name").all_inner_texts() == before


def test_a_key_is_shown_once_and_revoking_asks_first(rich, browser):
    key = served.key(rich, "admin")
    with serving(rich) as root, looking(browser) as page:
        sign_in(page, root, key)
        page.goto(f"{root}/keys")
        page.get_by_label("Name, for people").fill("site")
        page.get_by_role("button", name="Make the key").click()
        expect(page.locator("#secret")).to_have_text(re.compile(r"kuapin_[0-9a-f]{12}_[\w-]{43}"))
        page.goto(f"{root}/keys")
        expect(page.locator("#secret")).to_have_count(0)
        expect(page.get_by_role("button", name="Revoke")).to_have_count(0)  # folded away until it is asked for
        page.get_by_label("Revoke…: site").click()
        page.get_by_role("button", name="Revoke").click()
        expect(page.locator(".keys .ended")).to_have_count(1)


def test_language_and_colours_change_by_a_click_and_stay(rich, browser):
    with serving(rich) as root, looking(browser, color_scheme="light") as page:
        page.goto(f"{root}/sign-in")
        paper = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(paper)
        page.get_by_role("button", name="Dark").click()
        assert page.evaluate(paper) != light
        page.get_by_role("button", name="简体中文").click()
        expect(page.get_by_role("heading", name="登录")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="登录")).to_be_visible()
        assert page.evaluate(paper) != light


def test_on_a_phone_the_menu_unfolds_and_without_scripts_it_is_there(rich, browser):
    key = served.key(rich, "admin")
    phone = {"width": 375, "height": 800}
    with serving(rich) as root:
        with looking(browser, viewport=phone) as page:
            sign_in(page, root, key)
            rules = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Rules")
            expect(rules).to_be_hidden()
            page.get_by_role("button", name="Menu").click()
            expect(rules).to_be_visible()
            page.keyboard.press("Escape")
            expect(rules).to_be_hidden()
        with looking(browser, viewport=phone, java_script_enabled=False) as page:
            sign_in(page, root, key)
            page.get_by_label("User id").fill("user 003")
            page.get_by_role("button", name="Show").click()
            expect(page.get_by_role("heading", name="Products")).to_be_visible()


def test_the_whole_report_opens_and_keeps_its_look(rich, browser):
    key = served.key(rich, "admin")
    page_of = Path(rich.reports / "evaluate-temporal.html")
    page_of.write_text(
        "<!DOCTYPE html><title>W</title><style>p{color:rgb(1,2,3)}</style><p>x</p><script>document.title='ran'</script>"
    )
    with serving(rich) as root, looking(browser) as page:
        sign_in(page, root, key)
        page.goto(f"{root}/reports/evaluate-temporal")
        assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
        assert page.title() == "W"
