"""Refreshing a small shop; its texts are read by made-up vectors, all else is what runs in a real one."""

import json
import re
import shutil

import numpy as np
import polars as pl
import pytest

from kuapin import columns as c
from kuapin.cli import refresh as verb
from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.data.dataset import build_dataset
from kuapin.errors import InputError
from kuapin.evaluation.gate import GateConfig, Paired, judge
from kuapin.manifest import read_routing
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline import refresh as refreshing
from kuapin.pipeline import train as training
from kuapin.pipeline.challenge import shown_share
from kuapin.pipeline.challenges import CHALLENGES
from kuapin.pipeline.newest import newest_stretch
from kuapin.pipeline.refresh import refresh
from kuapin.pipeline.train import train
from kuapin.workspace import Shop
from tests import market
from tests.refreshed import read

SETTINGS = {
    "margin = 0.1": "margin = 0.5",
    "least_users = 50": "least_users = 20",
    "encoder = true": "encoder = false",  # vectors are made up here
}


@pytest.fixture(autouse=True)
def without_a_language_model(monkeypatch):
    monkeypatch.setattr(training, "read_texts", read)
    monkeypatch.setattr(refreshing, "read_texts", read)


@pytest.fixture
def log():
    return market.log(n_users=200).sort("timestamp")


def imported(shop, tmp_path, **tables):
    paths = {}
    for name, table in tables.items():
        paths[name] = tmp_path / f"{name}-{table.height}.parquet"
        table.write_parquet(paths[name])
    shop.import_files(**paths)


def with_settings(shop, settings):
    path = shop.path / "kuapin.toml"
    text = path.read_text()
    for old, new in settings.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return Shop.open(shop.path)


def trained_early(folder, log, settings, *, quick):
    """A shop that was trained on the first 60 % of a log; its path."""
    shop = with_settings(Shop.init(folder / "shop"), settings)
    imported(shop, folder, items=market.items(), interactions=log[: int(0.6 * log.height)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "read_texts", read)
        train(shop, quick=quick)
    return shop.path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    log, settings = market.log(n_users=200).sort("timestamp"), SETTINGS | {"candidates = 100": "candidates = 20"}
    return trained_early(tmp_path_factory.mktemp("trained"), log, settings, quick=True)


@pytest.fixture
def shop(trained, tmp_path):
    """Trained on the first 60 % of the log; the rest came since."""
    shutil.copytree(trained, tmp_path / "shop")
    return Shop.open(tmp_path / "shop")


def test_nothing_new(shop):
    before = Releases(shop.models).live()
    done = refresh(shop)
    assert done.nothing_new
    assert Releases(shop.models).live() == done.champion == before


def test_what_is_new_is_learnt_and_compared_by_category(shop, log, tmp_path):
    imported(shop, tmp_path, interactions=log)
    before = Releases(shop.models).live()
    done = refresh(shop)
    assert [verdict.category for verdict in done.verdicts] == ["Beauty", "Garden", "Home", "Pets"]
    assert all(verdict.passes for verdict in done.verdicts)
    assert all(verdict.champion > 0 for verdict in done.verdicts)
    assert done.unseen
    assert 0 < done.own_share < 1
    assert [moved.part for moved in done.drift] == ["categories", "events", "popularity", "texts", "scores"]
    assert Releases(shop.models).live() == done.release != before
    manifest = json.loads((shop.models / done.release / "manifest.json").read_text())
    assert manifest["snapshot"] == shop.snapshot
    assert manifest["config"]["newest"] == log["timestamp"].max()
    assert read_routing(shop.models / done.release).categories == {}
    (line,) = (shop.models / CHALLENGES).read_text().splitlines()
    assert json.loads(line)["champion"] == before
    assert refresh(shop).nothing_new


def test_the_answers_were_hidden_from_both(shop, log, tmp_path, monkeypatch):
    imported(shop, tmp_path, interactions=log)
    seen = {}

    def spied(champion, challenger, after, users, **_):
        seen.update(champion=champion.histories, challenger=challenger.histories, after=after.histories, users=users)
        return {}

    monkeypatch.setattr(refreshing, "paired", spied)
    refresh(shop)
    cut = seen["after"].times.min()
    since = log.filter(pl.col("timestamp") > log["timestamp"][int(0.6 * log.height) - 1])["timestamp"]
    assert cut == pytest.approx(since.quantile(0.5, "lower"), abs=1)
    assert seen["champion"].times.max() < cut
    assert seen["challenger"].times.max() < cut
    assert len(seen["after"].times) + len(seen["challenger"].times) == log.height


def test_what_no_person_did_is_not_asked_for_and_is_named(shop, log, tmp_path, monkeypatch, capfd):
    times = log["timestamp"][-600:]
    bulk = pl.DataFrame({"user_id": "buyer", "item_id": market.items()["item_id"][0], "timestamp": times})
    early = bulk[:5].with_columns(timestamp=log["timestamp"][:5])
    (one,) = log[-1:].rows(named=True)
    shown = pl.DataFrame([one]).with_columns(event=pl.lit("impression"), timestamp=pl.col("timestamp") - 1)
    imported(shop, tmp_path, interactions=pl.concat([log, early, bulk, shown], how="diagonal_relaxed"))
    asked, real = [], refreshing.paired
    monkeypatch.setattr(refreshing, "paired", lambda *a, **k: asked.append(a) or real(*a, **k))
    learnt, fit_real = [], refreshing.fit_surfaces
    monkeypatch.setattr(refreshing, "fit_surfaces", lambda *a, **k: learnt.append(a[0]) or fit_real(*a, **k))
    assert run(app, ["refresh", str(shop.path), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert 0 < told["shown_share"] < 0.05
    said = told["not_learnt_from"]
    assert said["bulk_buyers"] == {"count": 1, "users": ["buyer"]}
    assert said["interactions"] == 605
    assert len(learnt[0].histories.items) == log.height  # surfaces learn from people, too
    assert json.loads((shop.reports / "suspects.json").read_text()) == said
    ((_, _, after, users),) = asked
    assert "buyer" in set(users)  # he came back
    assert "buyer" not in set(after.users.ids.gather(np.unique(after.histories.users)))


def test_how_much_of_what_was_taken_had_been_shown():
    items = pl.DataFrame({"item_id": ["a", "b", "c"]})
    rows = [("u", "a", 50), ("u", "a", 60), ("u", "b", 55), ("v", "a", 50), ("v", "c", 52)]
    taken = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    shown = [("u", "a", 49), ("u", "b", 56), ("v", "b", 40), ("v", "c", 10), ("v", "c", 52), ("v", "a", 20)]
    seen = pl.DataFrame(shown, schema=["user_id", "item_id", "timestamp"], orient="row")
    log = pl.concat(
        [taken.with_columns(event=pl.lit("click")), seen.with_columns(event=pl.lit("impression"))], how="vertical"
    )
    after = build_dataset(items, taken)
    assert shown_share(log, after, 30) == 2 / 4  # u took b before it was shown, v was shown a by an earlier model
    assert shown_share(log, after, 0) == 3 / 4
    assert np.isnan(shown_share(log, after, 60))
    assert np.isnan(shown_share(taken, after, 0))


def test_refused_where_no_loss_can_be_ruled_out(shop, log, tmp_path, capfd):
    shop = with_settings(shop, {"margin = 0.5": "margin = 0.0001"})
    imported(shop, tmp_path, interactions=log)
    before = Releases(shop.models).live()
    done = refresh(shop)
    assert done.release is None
    assert not done.nothing_new
    assert Releases(shop.models).live() == before
    assert {verdict.decision for verdict in done.verdicts} == {"undecided"}
    assert set(done.kept) == {"Beauty", "Garden", "Home", "Pets"}

    spent = (shop.models / CHALLENGES).read_text()
    same = refresh(shop)  # the same question has the same answer: nothing is trained, no look is spent
    assert (same.release, same.verdicts, same.nothing_new) == (None, (), False)
    assert same.refused_at == json.loads(spent)["at"]
    assert (shop.models / CHALLENGES).read_text() == spent
    assert run(app, ["refresh", str(shop.path)]) == 3
    assert "since the gate refused at" in capfd.readouterr().err

    otherwise = refresh(with_settings(shop, {"margin = 0.0001": "margin = 0.0002"}))
    assert (otherwise.refused_at, otherwise.release) == (None, None)  # another question, a second look
    shop = with_settings(shop, {"margin = 0.0002": "margin = 0.0001"})
    assert refresh(shop).refused_at == same.refused_at  # and the first one is not forgotten for it

    imported(shop, tmp_path, interactions=log.with_columns(pl.col("timestamp") + 1)[-40:])
    again = refresh(shop)  # the third look at the same champion spends a ninth of the level
    levels = [sorted(verdict.level for verdict in one.verdicts) for one in (done, again)]
    assert levels[1] == pytest.approx([level / 9 for level in levels[0]])
    with (shop.models / CHALLENGES).open("a") as file:
        file.write('{"at": "2026')  # torn by a crash: passed over
    forced = refresh(shop, force=True)
    assert Releases(shop.models).live() == forced.release != before


def lists(model, category):
    return model.recommend(["user 001", "user 050"], n=10, categories=[category]).drop(c.RELEASE)


def test_a_category_that_loses_keeps_what_it_had(shop, log, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    good = rng.random(100)
    pairs = {name: Paired(good, good + 0.01) for name in ("Beauty", "Garden", "Pets")} | {
        "Home": Paired(good, good / 4)
    }
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: dict(pairs))
    imported(shop, tmp_path, interactions=log)
    first = Releases(shop.models).live()
    before = {name: lists(Model.load(shop), name) for name in ("Home", "Pets")}
    done = refresh(shop)
    after = Model.load(shop)
    assert [one.categories for one in after.recommender.others] == [{"Home"}]
    assert lists(after, "Home").equals(before["Home"])
    assert not lists(after, "Pets").equals(before["Pets"])
    assert {verdict.category: verdict.decision for verdict in done.verdicts}["Home"] == "loses"
    assert len(after.recommend("user 001", n=20)) == 20

    imported(shop, tmp_path, interactions=log.with_columns(pl.col("timestamp") + 1)[-40:])
    refresh(shop)  # and keeps it under its own name when the rest moves on again
    routing = read_routing(Releases(shop.models).open_live())
    assert {name: route.ranker for name, route in routing.categories.items()} == {"Home": f"parts/{first}/ranker"}
    assert lists(Model.load(shop), "Home").height == 20
    looks = [json.loads(line) for line in (shop.models / CHALLENGES).read_text().splitlines()]
    assert [look["negative_transfer"] for look in looks] == [["Home"], []]  # too few came back: it knew the answers
    served = [{v["category"]: v["served_by"] for v in look["verdicts"]} for look in looks]
    assert served[0]["Home"] == served[1]["Home"] == served[0]["Pets"]  # of the first release, whatever it is called
    assert served[1]["Pets"] != served[0]["Pets"]
    levels = [{v["category"]: v["level"] for v in look["verdicts"]}["Home"] for look in looks]
    assert levels[1] == pytest.approx(levels[0] / 4)


def test_a_category_that_the_champion_does_not_know_is_served_by_the_new_model(tmp_path, log):
    shop = with_settings(Shop.init(tmp_path / "young"), SETTINGS)
    old = market.items().filter(~pl.col("category").str.starts_with("Pets"))
    early = log[: int(0.6 * log.height)].filter(~pl.col("item_id").str.starts_with("P-"))
    imported(shop, tmp_path, items=old, interactions=early)
    train(shop, quick=True)
    imported(shop, tmp_path, items=market.items(), interactions=log)
    done = refresh(shop)
    assert done.new == ("Pets",)
    assert "Pets" not in {verdict.category for verdict in done.verdicts}
    assert lists(Model.load(shop), "Pets").height == 20
    (texts,) = (moved for moved in done.drift if moved.part == "texts")
    assert texts.told.startswith("24 new items")


def test_a_new_category_opens_though_nothing_passes_and_nobody_has_been_there(shop, log, tmp_path):
    shop = with_settings(shop, {"margin = 0.5": "margin = 0.0001"})
    garage = market.items()[:3].with_columns(
        item_id=pl.Series(["C-1", "C-2", "C-3"]), category=pl.lit("Cars > tyre"), title=pl.lit("rose tyre")
    )
    imported(shop, tmp_path, items=garage, interactions=log)
    before = lists(Model.load(shop), "Home")
    done = refresh(shop)
    assert done.new == ("Cars",)
    assert not any(verdict.passes for verdict in done.verdicts)
    after = Model.load(shop)
    assert after.recommend("user 001", categories=["Cars"])[c.TARGET_ID].str.starts_with("C-").all()
    assert lists(after, "Home")[c.TARGET_ID].equals(before[c.TARGET_ID])
    note = json.loads((shop.models / done.release / "manifest.json").read_text())["config"]["note"]
    assert note.endswith("By earlier parts: Beauty, Garden, Home, Pets.")


def test_what_was_never_measured_is_never_mixed(tmp_path, log, monkeypatch):
    """Its scores are no probabilities: one category of it would fill every list."""
    shop = with_settings(Shop.init(tmp_path / "unmeasured"), SETTINGS)
    imported(shop, tmp_path, items=market.items())
    train(shop, quick=True)
    imported(shop, tmp_path, interactions=log)
    rng = np.random.default_rng(0)
    good = rng.random(100)
    pairs = {"Home": Paired(good, good / 4), "Pets": Paired(good, good * 3)}
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: dict(pairs))
    done = refresh(shop)
    assert [(verdict.category, verdict.users) for verdict in done.verdicts] == [("(whole shop)", 100)]  # people
    assert done.unseen
    assert read_routing(shop.models / done.release).categories == {}
    first = Model.load(shop).recommend([f"user {user:03d}" for user in range(60)], n=5)[c.TARGET_ID].str.head(1)
    assert first.n_unique() == 4
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: {"Home": Paired(good, good / 4)})
    imported(Shop.open(shop.path), tmp_path, interactions=log[-50:].with_columns(pl.col("timestamp") + 9))
    assert refresh(Shop.open(shop.path)).release is None  # both are measured now, and it loses


def test_an_interrupted_refresh_leaves_what_is_live(shop, log, tmp_path, monkeypatch):
    imported(shop, tmp_path, interactions=log)
    before = Releases(shop.models).live()
    fits = []

    def interrupted(*arguments, **options):
        fits.append(1)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return training.fit(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(refreshing, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            refresh(shop)
    assert Releases(shop.models).live() == before
    assert refresh(shop).release is not None


@pytest.mark.parametrize("how", ["cut short", "altered", "gone"])
def test_a_damaged_live_release_is_named_in_one_line_and_nothing_changes(shop, log, tmp_path, capfd, how):
    imported(shop, tmp_path, interactions=log)
    live = Releases(shop.models).live()
    path = shop.models / live / "sources" / "facts.safetensors"
    content = path.read_bytes()
    path.unlink() if how == "gone" else path.write_bytes(content[:-9] if how == "cut short" else content[:-1] + b"?")
    before = {one: one.read_bytes() for one in shop.models.rglob("*") if one.is_file()}
    capfd.readouterr()
    assert run(app, ["refresh", str(shop.path), "--quiet"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert live in err
    assert "facts.safetensors" in err
    assert {one: one.read_bytes() for one in shop.models.rglob("*") if one.is_file()} == before
    path.write_bytes(content)
    assert Releases(shop.models).open_live().name == live


def test_a_log_from_the_future_is_refused_and_changes_nothing(shop, log, tmp_path, capfd):
    live = Releases(shop.models).live()
    path = tmp_path / "future.csv"
    log[-50:].with_columns(timestamp=pl.lit(4_102_444_800)).write_csv(path)  # 2100
    capfd.readouterr()
    assert run(app, ["import", str(shop.path), "--interactions", str(path), "--quiet"]) == 2
    assert "times lie between 1990-01-01 and" in capfd.readouterr().err
    assert run(app, ["refresh", str(shop.path), "--quiet"]) == 0
    assert "Nothing was imported since" in capfd.readouterr().out
    assert Releases(shop.models).live() == live


def test_a_log_without_times(tmp_path, log):
    shop = with_settings(Shop.init(tmp_path / "untimed"), SETTINGS)
    untimed = log.drop("timestamp")
    imported(shop, tmp_path, items=market.items(), interactions=untimed[:3_000])
    train(shop, quick=True)
    imported(shop, tmp_path, interactions=untimed)
    newest = newest_stretch(shop, None, 20)
    assert not newest.unseen
    ends = newest.after.group_by("user_id").len()
    lengths = untimed.group_by("user_id").len().join(ends, on="user_id", suffix="_hidden")
    assert (lengths["len_hidden"] == (lengths["len"] * 0.2).ceil()).all()
    done = refresh(shop)
    assert done.verdicts
    assert np.isnan(done.own_share)


def test_a_model_that_knows_the_answers_makes_no_loss_of_what_others_find(tmp_path, log, monkeypatch, capfd):
    shop = with_settings(Shop.init(tmp_path / "untimed"), SETTINGS)
    imported(shop, tmp_path, items=market.items(), interactions=log.drop("timestamp")[:3_000])
    train(shop, quick=True)
    imported(shop, tmp_path, interactions=log.drop("timestamp")[3_000:])
    good = np.random.default_rng(0).random(100)
    monkeypatch.setattr(refreshing, "paired", lambda *_, **__: {"Home": Paired(good, good / 4)})
    assert run(app, ["refresh", str(shop.path)]) == 3
    assert "The live model has learnt those answers" in capfd.readouterr().out
    (line,) = (json.loads(one) for one in (shop.models / CHALLENGES).read_text().splitlines())
    assert line["negative_transfer"] == []
    assert {verdict["decision"] for verdict in line["verdicts"]} == {"undecided"}


def test_too_few_people(shop, tmp_path, log):
    imported(shop, tmp_path, interactions=log[:2_900])
    with pytest.raises(InputError, match=r"\d+ users came back .* at least"):
        newest_stretch(shop, None, 10_000)
    found = newest_stretch(shop, int(log["timestamp"].max()), 20)  # nothing came since: the last tenth
    assert not found.unseen
    assert found.after.height == pytest.approx(0.1 * found.before.height, rel=0.15)
    with pytest.raises(InputError, match="has no interactions"):
        newest_stretch(Shop.init(tmp_path / "empty"), None, 1)


def test_the_table_says_what_was_seen_and_what_could_have_been():
    rng = np.random.default_rng(1)
    good = rng.random(200)
    pairs = {
        "Better": Paired(good, good + 0.1),
        "Worse": Paired(good, good / 4),
        "Alike": Paired(good, rng.permutation(good)),
        "Few": Paired(good[:9], good[:9]),
        "Blank": Paired(np.zeros(200), good),
    }
    verdicts = tuple(judge(pairs, GateConfig()))
    told = verb._table(refreshing.Refreshed("r0", "r1", verdicts, passed=("Better", "Blank")))
    better, worse, alike, few, blank = told["verdict"]
    assert re.fullmatch(r"passes: no loss above 4%; so many users show a loss of \d+%", better)
    assert re.fullmatch(r"negative transfer: keeps what it has; so many users show a loss of \d+%", worse)
    ruled_out = r"only a loss above \d+\.\d% is ruled out"
    assert re.fullmatch(rf"cannot be told: keeps what it has; {ruled_out}; so many users show a loss of \d+%", alike)
    known = verb._table(refreshing.Refreshed("r0", "r1", verdicts, unseen=False))["verdict"]
    assert known[2] == "cannot be told, for the live model knows the answers: keeps what it has"
    assert few == "too few users to tell any loss: keeps what it has"
    assert blank == "passes; the live model found nothing that could be lost"
    first, last = told["95 % interval"][0], told["95 % interval"][-1]
    assert re.fullmatch(r"\+\d+% to \+\d+%", first)
    assert last == "–"


def test_the_verb(shop, log, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run(app, ["refresh", str(shop.path)]) == 0
    assert "Nothing was imported since" in capfd.readouterr().out
    imported(shop, tmp_path, interactions=log)
    with_settings(shop, {"margin = 0.5": "margin = 0.0001"})
    assert run(app, ["refresh", str(shop.path), "--quiet"]) == 3
    out, err = capfd.readouterr()
    assert "cannot be told: keeps what it has; only a loss above" in out
    assert err.startswith("The gate refused: in no category a loss of 0% could be ruled out.")
    assert run(app, ["refresh", str(shop.path), "--force"]) == 0
    out = capfd.readouterr().out
    assert "cannot be told: forced" in out
    assert out.splitlines()[-1].endswith(" is live.")
    imported(Shop.open(shop.path), tmp_path, interactions=log[-80:].with_columns(pl.col("timestamp") + 9 * market.DAY))
    with_settings(shop, {"margin = 0.0001": "margin = 0.5", "least_users = 20": "least_users = 5"})
    assert run(app, ["refresh", str(shop.path), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["release"] == Releases(shop.models).live()
    passing = [verdict["category"] for verdict in said["verdicts"] if verdict["decision"] == "passes"]
    assert said["passed"] == passing
    assert passing
    assert set(said["kept"]) == {verdict["category"] for verdict in said["verdicts"]} - set(passing)
