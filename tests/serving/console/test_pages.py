"""What every page says, and what its buttons do."""

import gc
import os
import re
import time
import weakref
from html import unescape

import polars as pl

from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.ranking.safety import TASK, SafetyConfig, decide
from kuapin.serving.console import measured
from tests import served
from tests.serving.console.asking import everybody, page, send, signed_in, words
from tests.serving.console.conftest import BLOCKED, DOUBTFUL, show_and_click

USER = "user 003"


def titles(text, surface):
    """The titles of the cards of one surface."""
    section = re.search(rf'<section class="surface {surface}".*?</section>', text, re.DOTALL)[0]
    return [name.strip() for name in re.findall(r'class="name"[^>]*>([^<]+)<', section)]


def test_a_user_sees_what_the_service_answers(rich):
    with everybody(rich) as client:
        text = page(client, f"/?user={USER}")
        model = client.app.state.service.live.current.model
        answer = client.get("/v1/home", params={"user_id": USER, "n": 40, "explain": True}).json()
        shown = [row["target_id"] for row in answer["recommendations"]]
        table = model.recommend(USER, 40, surface="home", explain=True)
        assert table["target_id"].to_list() == shown
        for surface in ("products", "bundles", "brands", "campaigns", "trends", "profile"):
            rows = table.filter(surface=surface)
            items = rows.filter(pl.col("kind").is_in(["item", "due"]))["target_id"]
            named = dict(zip(items, model.describe(items)["title"], strict=True))
            named |= {"roses": "Roses for less", "all": "A tenth off"}
            assert titles(text, surface) == [named.get(one, one) for one in rows["target_id"]], surface
            assert all(reason in text for reason in rows["reason"] if reason)
        assert "Personal" in text
        assert "The latest of 24 in all" in text
        assert "has not learnt" not in text
        assert page(client, "/").count("?user=user") == 5


def test_a_stranger_sees_the_fallback_by_name(rich):
    with everybody(rich) as client:
        text = words(page(client, "/?user=nobody"))
        assert "Nothing is known of “nobody”" in text
        assert "Popular in the shop" in text
        assert "falls back on what is popular" in text


def test_an_erased_user_is_a_stranger_at_once(rich):
    with everybody(rich) as client:
        assert "Personal" in page(client, f"/?user={USER}")
        client.delete(f"/v1/users/{USER}").raise_for_status()
        text = page(client, f"/?user={USER}")
        assert "Personal" not in text
        assert "Popular in the shop" in text


def test_an_erased_user_is_in_no_search_no_compared_release_and_no_trial_of_rules(rich):
    with everybody(rich) as client:
        live = client.app.state.service.live.current.model.release
        other = next(one.version for one in Releases(rich.models).versions() if not one.live)
        client.post("/v1/experiments", json={"challenger": other}).raise_for_status()  # which keeps the other release
        paths = [f"/compare?user=%s&left={other}&right={live}", "/rules?user=%s"]

        def told(user):
            return [
                re.sub(user, "?", re.search(r"<main.*</main>", page(client, path % user), re.DOTALL)[0])
                for path in paths
            ]

        one = client.app.state.service.live.current.model.users.id(3)
        before = told(one)
        client.delete(f"/v1/users/{one}").raise_for_status()
        assert client.get(f"/console/users.json?text={one}").json() == []
        after, nobody = told(one), told("nobody")
        for path in range(2):
            assert before[path] != after[path] == nobody[path]
        busy = re.findall(r"user=(user[^\"&]*)", page(client, "/"))
        client.delete(f"/v1/users/{busy[0].replace('+', ' ')}").raise_for_status()
        assert re.findall(r"user=(user[^\"&]*)", page(client, "/")) == busy[1:]


def test_after_an_erasure_no_release_of_the_console_stays_in_memory(rich):
    with everybody(rich) as client:
        console, service = client.app.state.console, client.app.state.service
        other = next(one.version for one in Releases(rich.models).versions() if not one.live)
        page(client, f"/compare?user={USER}&left={other}&right={console.live.release}")
        client.get("/console/users.json?text=u").raise_for_status()
        held = [weakref.ref(console.model(other)), weakref.ref(console.search)]
        client.delete("/v1/users/somebody").raise_for_status()
        service.tidy()
        gc.collect()
        assert [one() for one in held] == [None, None]


def test_what_a_rule_changed_is_told(rich):
    with everybody(rich) as client:
        for path in (f"/?user={USER}", f"/rules?user={USER}", "/visitor?item=B-rose-soap-small"):
            text = words(page(client, path))
            assert re.search(r"pin toys first line 1 \+ came: snow toy large", text), path
            assert "no hoses line 6" in text, path
        assert "by a rule" in page(client, f"/?user={USER}")
        listed = words(page(client, "/rules"))
        assert "no hoses line 6 exclude 12 all always" in listed


def test_events_of_this_minute_are_in_the_history(rich):
    with everybody(rich) as client:
        event = {"user_id": USER, "item_id": "G-sun-pot-large", "event": "cart"}
        client.post("/v1/interactions", json={"interactions": [event]}).raise_for_status()
        assert re.search(r"sun pot large put in the cart", words(page(client, f"/?user={USER}")))


def test_a_visitor_is_built_by_clicking(rich):
    with everybody(rich) as client:
        text = page(client, "/visitor?text=rose soap")
        assert "Nothing yet. Click something" in text
        found = re.search(r'<ul class="found">.*?</ul>', text, re.DOTALL)[0]
        links = re.findall(r'href="(/console[^"]+)"', found)
        assert len(links) == 2  # two sizes
        one = unescape(client.get(links[0]).text)
        assert "This visit" in one
        model = client.app.state.service.live.current.model
        history = re.findall(r"item=([\w-]+)", links[0])
        expected = model.recommend_visitor(history, 40, surface="home").filter(surface="products")["target_id"]
        assert titles(one, "products") == model.describe(expected)["title"].to_list()
        assert "Reads like rose soap" in one or "Viewed once before" in one
        away = re.search(r'class="remove" href="([^"]+)"', one)[1]
        assert "Nothing yet. Click something" in client.get(away).text
        nothing = page(client, "/visitor?text=zzz")
        assert "Nothing here is called “zzz”" in nothing
        assert page(client, "/visitor?item=no-such-item").count("Popular in the shop") == 1


def test_users_are_found_by_a_part_of_their_id(rich):
    with everybody(rich) as client:
        found = client.get("/console/users.json?text=ER 01").json()
        assert found == [f"user 01{digit}" for digit in range(10)]
        assert client.get("/console/users.json?text=").json() == []
        assert client.get("/console/users.json?text=user 003").json() == ["user 003"]


def test_decisions_are_noted_and_hold_when_applied(rich):
    with signed_in(rich) as (client, _):
        text = words(page(client, "/review"))
        assert "2 wait for a decision" in text
        assert f"sea lamp large Home › lamp by Sea 9.00 blocked why {BLOCKED}" in text
        assert re.search(r"Allow Keep blocked .*put lower .*Allow Block", text)
        live = client.app.state.service.live
        row = live.current.model.catalogue.items.row(BLOCKED)
        assert live.current.model.reranker.blocked[row]
        assert send(client, "/review", item=BLOCKED, decision="allow").headers["location"] == "/console/review?done=1"
        assert send(client, "/review", item=DOUBTFUL, decision="block").status_code == 303
        labels = rich.store.read("labels").filter(pl.col("task") == TASK)
        assert dict(zip(labels["item_id"], labels["label"], strict=True)) == {BLOCKED: "allow", DOUBTFUL: "block"}
        text = words(page(client, "/review?done=1"))
        assert "Nothing waits for review" in text
        assert "Apply now" in text
        assert "Decided by people" in text
        assert live.current.model.reranker.blocked[row]
        send(client, "/review/apply")
        assert not live.current.model.reranker.blocked[row]
        assert send(client, "/review", item="nothing", decision="allow").status_code == 404
        assert send(client, "/review", item=BLOCKED, decision="burn").status_code == 422


def test_what_is_put_and_blocked_waits_for_a_decision(rich):
    with signed_in(rich) as (client, _):
        live = client.app.state.service.live
        put = pl.DataFrame({"item_id": ["P-sun-toy-large"], "title": ["Cocaine, 1 g"]})
        live._arrivals(live.current.model.release).decisions = decide(put, None, SafetyConfig())
        text = words(page(client, "/review"))
        assert "3 wait for a decision" in text
        assert "Its text says “cocaine”" in text


def test_keys_are_made_shown_once_exchanged_and_ended(rich):
    with signed_in(rich) as (client, own):
        assert "yours" in page(client, "/keys")
        made = send(client, "/keys", name="site", scope=["recommend", "write"], days="30", rate="5").text
        key = re.search(r"kuapin_([0-9a-f]{12})_[\w-]{43}", made)
        assert key[0] not in page(client, "/keys")
        assert (
            client.get("/v1/recommendations", params={"user_id": "u"}, headers={"X-API-Key": key[0]}).status_code == 200
        )
        ring = client.app.state.service.access.keyring
        kept = ring.get(key[1])
        assert (kept.name, kept.scopes, kept.rate) == ("site", ("recommend", "write"), 5.0)
        assert 29 * 86_400 < kept.expires_at - kept.created_at <= 30 * 86_400
        exchanged = re.search(r"kuapin_([0-9a-f]{12})_", send(client, "/keys/rotate", key_id=key[1]).text)[1]
        assert ring.get(key[1]).revoked_at is not None
        assert send(client, "/keys/revoke", key_id=exchanged).status_code == 303
        assert ring.check(own) is not None
        for wrong in (
            {"name": "", "scope": "admin"},
            {"name": "n"},
            {"name": "n", "scope": "root"},
            {"name": "n" * 81, "scope": "admin"},
            {"name": "n", "scope": "admin", "days": "-1"},
            {"name": "n", "scope": "admin", "rate": "x"},
        ):
            assert send(client, "/keys", **wrong).status_code == 422, wrong
        assert send(client, "/keys/revoke", key_id="none").status_code == 404


def test_a_version_goes_live_and_back_by_its_button(rich):
    releases = Releases(rich.models)
    live = releases.live()
    other = next(one.version for one in releases.versions() if not one.live)
    with signed_in(rich) as (client, _):
        text = words(page(client, "/versions"))
        assert f"{live} live" in text
        assert "Pets 90 0.2000 0.2300 – too few users: keeps what it has Home 80 0.2000 0.2300 +15 % passes" in text
        send(client, "/versions/activate", version=other)
        assert (releases.live(), client.app.state.service.live.current.model.release) == (other, other)
        assert "made live" in page(client, "/versions")
        send(client, "/versions/rollback")
        assert releases.live() == live
        assert send(client, "/versions/activate", version="none").status_code == 404


def test_two_versions_are_asked_the_same(rich):
    with everybody(rich) as client:
        live = client.app.state.service.live.current.model.release
        other = next(one.version for one in Releases(rich.models).versions() if not one.live)
        text = page(client, f"/compare?user={USER}&left={other}&right={live}")
        sides = re.findall(r'<section aria-labelledby="side-.*?</section>', text, re.DOTALL)
        lists = []
        for side, version in zip(sides, (other, live), strict=True):
            model = Model.load(rich, version=version)
            rows = model.recommend(USER, 20)["target_id"]
            lists.append(set(rows))
            assert re.findall(r'class="name"[^>]*>([^<]+)<', side) == model.describe(rows)["title"].to_list()
        shared = len(lists[0] & lists[1])
        assert f"{shared} of 20 rows are in both lists" in text
        assert text.count("only here") == 2 * (20 - shared)
        missing = page(client, f"/compare?user={USER}&left={other}&right={live}&surface=brands")
        assert f"Release {other} has learnt no brands" in missing
        page(client, f"/compare?user={USER}&left=none&right={live}", 404)


def test_a_report_is_drawn_and_the_whole_of_it_runs_nothing(rich):
    with everybody(rich) as client:
        text = words(page(client, "/reports"))
        assert "Helps All next choices" in text
        assert "2.00 times EASE, the best simple method (95 % interval 1.80 to 2.20; 50 users)" in text
        assert "bench" not in text
        drawn = page(client, "/reports")
        assert "best simple method 0.2000; " not in drawn
        assert re.search(r"All next choices: best simple method 0\.2000, Kuapin 0\.4000 \(0\.3900 – 0\.4100\)", drawn)
        assert drawn.count("<polyline") == 2  # the launch of Pets, two methods
        whole = client.get("/console/reports/evaluate-temporal")
        assert "The whole report." in whole.text
        assert whole.headers["content-security-policy"].startswith("sandbox;")
        (rich.reports / ".hidden.html").write_text("hidden")
        for name in ("none", "..%2f..%2frules", "evaluate-temporal.json", ".hidden"):
            assert client.get(f"/console/reports/{name}").status_code == 404
        assert "There is no report “none”" in page(client, "/reports?name=none")
        assert "There is no report" in page(client, "/reports?name=../data/tables")


def test_reports_that_were_written_over_do_not_pile_up(rich):
    path = rich.reports / "evaluate-temporal.json"
    for second in range(measured.KEPT + 5):
        os.utime(path, (second, second))
        assert measured.read(rich.reports, path.stem).title == "A made-up shop"
    assert measured._read.cache_info().currsize == measured.KEPT


def test_launches_say_what_was_expected_and_what_replays_said(rich):
    with everybody(rich) as client:
        text = words(page(client, "/launches"))
        assert "Opened with 24 items when 0 % of those who will enter had been seen; served by transfer" in text
        assert "0 % 0 transfer 50 % 2.00× 10 % 9 transfer 50 % 2.00×" in text
        assert re.search(
            r"Pets 0 % seen Does not help 0\.50× 0\.45 – 0\.55 to EASE 10 % seen No clear gain 1\.00×", text
        )


def test_drift_is_told_of_the_last_comparison_that_kept_it(rich):
    with everybody(rich) as client:
        text = words(page(client, "/drift"))
        assert re.search(r"Categories 0\.3 0\.30 much Texts of new items 0\.02 0\.02 steady", text)
        client.post("/v1/interactions", json={"interactions": [{"user_id": "u", "item_id": "x"}]}).raise_for_status()
        assert "Events since it was loaded 1" in words(page(client, "/drift"))


def test_outcomes_are_counted_by_surface_version_and_category(rich):
    with everybody(rich) as client:
        show_and_click(client.app.state.service)
        release = client.app.state.service.live.current.model.release
        text = words(page(client, "/outcomes?days=1"))
        assert f"Products {release} 2 1 50.0 % 0 0.0 %" in text
        assert "Beauty 2 1 50.0 % 0 0.0 %" in text


def test_an_experiment_is_started_watched_and_stopped(rich):
    releases = Releases(rich.models).versions()
    other = next(one.version for one in releases if not one.live)
    with signed_in(rich) as (client, _):
        assert "No A/B test was made yet" in page(client, "/experiments")
        form = {"challenger": other, "share": "60", "surface": "products", "outcome": "purchase", "most_days": "9"}
        for wrong in ({"share": "x"}, {"share": "100"}, {"outcome": "tea"}, {"most_days": "0"}):
            assert send(client, "/experiments", **form | wrong).status_code == 422, wrong
        assert send(client, "/experiments", **form | {"challenger": "none"}).status_code == 404
        assert send(client, "/experiments", **form).headers["location"] == "/console/experiments"
        service = client.app.state.service
        one = service.experiments.store.running()
        assert (one.challenger, one.terms.share, one.terms.outcome, one.terms.most_days) == (other, 0.6, "purchase", 9)
        text = words(page(client, "/experiments"))
        assert re.search(
            r"Running Since .* 60 % of the people get the challenger\. Wanted: bought after Products", text
        )
        assert "Start one" not in text
        assert send(client, "/experiments", **form).status_code == 409
        now = int(time.time())
        shown = [
            {
                "event_id": f"{event}{number}", "event": event, "user_id": f"user {number:03d}", "timestamp": now,
                "item_id": "B-rose-soap-small", "ranking_id": f"r{number}", "surface": "products", "release": "x",
            }
            for number in range(60)
            for event in (["impression", "purchase"] if number % 3 == 0 else ["impression"])
        ]  # fmt: skip
        service.events.add([shown])
        assert "60 people have not had their time yet" in words(page(client, "/experiments"))
        service.experiments.clock = lambda: time.time() + 2 * 86_400
        stands = service.experiments.standing(one)
        text = words(page(client, "/experiments"))
        assert stands.control_users + stands.challenger_users == 60
        assert f"Live version {stands.control_users} {100 * stands.control_rate:.1f} %" in text
        told = f"Difference {100 * stands.difference:.2f} ({100 * stands.low:.2f} to {100 * stands.high:.2f})"
        assert text.count(told) == 1
        takes = [user for user in service.live.current.model.users.ids if one.takes(user)]
        told = f"this user gets the version {other}"
        assert told in page(client, f"/?user={takes[0]}")
        others = [user for user in service.live.current.model.users.ids if not one.takes(user)]
        assert told not in page(client, f"/?user={others[0]}")
        send(client, "/experiments/stop", experiment_id=one.experiment_id)
        assert service.experiments.store.running() is None
        assert "stopped by hand" in page(client, "/experiments")
        assert told not in page(client, f"/?user={takes[0]}")


def test_health_reads_the_service_and_says_what_to_do(rich):
    with everybody(rich) as client:
        assert "No list was asked for" in page(client, "/health")
        for user in (USER, "nobody", "nobody", "nobody"):
            client.get("/v1/recommendations", params={"user_id": user}).raise_for_status()
        text = words(page(client, "/health"))
        said = r"look at it Lists that rest on no history 75\.0 % Most lists fall back .* Alert: KuapinFallbacks"
        assert re.search(said, text)
        assert re.search(r"look at it The shop is as the version learnt it 0\.30 .* Alert: KuapinDrift", text)
        assert re.search(r"Popular in the shop 75 % 3 Personal 25 % 1", text)
        assert re.search(r"99 of 100 lists within [\d.]+ s", text)
        assert "fine The version on the disk answers" in text
        client.app.state.service.live.releases.activate(
            next(one.version for one in Releases(rich.models).versions() if not one.live)
        )
        assert "look at it The version on the disk answers" in words(page(client, "/health"))


def test_where_there_is_nothing_pages_say_what_to_do(bare):
    with everybody(bare) as client:
        for path, said, command in (
            ("/rules", "The shop has no rules", "kuapin rules SHOP"),
            ("/review", "Nothing waits for review", "kuapin review SHOP"),
            ("/versions", "No two models were compared yet", "kuapin refresh SHOP"),
            ("/compare", "There is only one version", "kuapin refresh SHOP"),
            ("/reports", "Nothing was measured yet", "kuapin evaluate SHOP"),
            ("/launches", "No category was opened", "kuapin onboard SHOP"),
            ("/drift", "Drift was not measured yet", "kuapin refresh SHOP"),
            ("/outcomes", "Nothing was reported as shown", "/v1/impressions"),
        ):
            text = page(client, path)
            assert said in text, path
            assert command in text, path
        text = page(client, f"/?user={USER}")
        assert text.count("The live release has not learnt this") == 4
        assert "It needs a table of campaigns" in text
        assert "There is no such page" in page(client, "/nowhere", 404)


def test_what_a_shop_is_called_cannot_become_markup(bare):
    with everybody(bare) as client:
        evil = "<img src=x onerror=alert(1)>"
        client.put("/v1/items", params={"item_id": evil}, json={"title": evil, "category": evil})
        for path in ("/", "/visitor", "/compare", "/rules", "/reports"):
            answer = client.get(f"/console{path}", params={"user": evil, "text": evil, "name": evil, "item": evil})
            assert answer.status_code == 200
            assert "<img" not in answer.text, path


def test_language_and_colours_are_kept(bare):
    with everybody(bare) as client:
        assert 'lang="en"' in client.get("/console/", headers={"Accept-Language": "fr, en;q=0.5"}).text
        assert 'lang="zh-Hans"' in client.get("/console/", headers={"Accept-Language": "zh-TW,zh;q=0.9"}).text
        back = client.post(
            "/console/preferences", data={"language": "zh", "back": "/console/rules"}, follow_redirects=False
        )
        assert back.headers["location"] == "/console/rules"
        assert "规则" in page(client, "/rules")
        assert "您曾购买" in page(client, f"/?user={USER}")  # reasons of products as well
        client.post("/console/preferences", data={"theme": "dark", "language": "xx"})
        text = page(client, "/rules")
        assert 'data-theme="dark"' in text
        assert 'lang="zh-Hans"' in text


def test_keys_of_a_reader_do_not_see_the_console(rich):
    key = served.key(rich, "recommend")
    with served.client(rich, keys=True) as client:
        client.base_url = "http://127.0.0.1"
        answer = client.get("/console/", headers={"X-API-Key": key}, follow_redirects=False)
        assert answer.status_code == 303
