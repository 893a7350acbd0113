"""People under keyed hashes: callers use the ids as before, and no file of the shop holds one."""

import json

import polars as pl
import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.data.people import People, privacy_key
from kuapin.data.sql.erasures import Erasures
from kuapin.errors import InputError
from kuapin.model import Model
from kuapin.pipeline.export import export
from kuapin.pipeline.forget import forget
from kuapin.workspace import Shop
from tests import market, served
from tests.serving.test_erasure import holds

USER, OTHER = "user 003", "user 004"
SOAP = "B-rose-soap-small"


def hashing(shop):
    path = shop.path / "kuapin.toml"
    path.write_text(path.read_text().replace("hash_user_ids = false", "hash_user_ids = true"))
    return Shop.open(shop.path)


def tables(folder):
    folder.mkdir()
    log = market.log()
    market.items().write_parquet(folder / "items.parquet")
    log.write_parquet(folder / "interactions.parquet")
    users = pl.DataFrame({"user_id": log["user_id"].unique(), "city": "Oslo"})
    users.write_parquet(folder / "users.parquet")
    links = [(USER, "same_household", OTHER), (SOAP, "goes_with", "H-oak-lamp-small"), (USER, "likes", "tea")]
    pl.DataFrame(links, schema=["head", "relation", "tail"], orient="row").write_parquet(folder / "relations.parquet")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def hashed(tmp_path):
    """The shop of the other tests, imported under hashes."""
    shop = hashing(Shop.init(tmp_path / "hashed"))
    shop.import_files(**tables(tmp_path / "tables"))
    served.publish(shop)
    return shop


def listed(client, user=USER):
    return client.get("/v1/recommendations", params={"user_id": user, "explain": True}).json()


def test_answers_are_those_of_a_shop_that_keeps_the_ids_and_no_file_holds_one(hashed, shop, tmp_path, capfd):
    plain = Model.load(shop)
    event = {"user_id": USER, "item_id": SOAP, "event": "purchase", "ranking_id": "r1"}
    shown = {"ranking_id": "r1", "user_id": USER, "release": "r", "items": [{"item_id": SOAP, "position": 1}]}
    with served.client(hashed) as client:
        for user in (USER, OTHER, "stranger"):
            told = listed(client, user)
            assert told["user_id"] == user
            assert (
                told["recommendations"]
                == plain.recommend(user, explain=True)
                .select("rank", "kind", "target_id", "score", "reason_code", "reason")
                .to_dicts()
            )
        profile = client.get(f"/v1/users/{USER}/profile").json()
        assert (profile["user_id"], profile["basis"]) == (USER, "personal")
        assert profile["recommendations"]
        before = listed(client)
        client.post("/v1/impressions", json={"impressions": [shown]}).raise_for_status()
        client.post("/v1/interactions", json={"interactions": [event] * 3}).raise_for_status()
        assert listed(client)["recommendations"] != before["recommendations"]
        assert client.get("/v1/outcomes").json()["outcomes"][0]["bought"] == 1
    hashed = Shop.open(hashed.path)
    capfd.readouterr()
    assert run(app, ["recommend", str(hashed.path), "--user", USER, "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert {row["user_id"] for row in rows} == {USER}
    model = Model.load(hashed)
    assert model.histories_of([USER]).lengths.tolist() == [27]
    assert model.recommend([USER, OTHER], 3)["user_id"].unique().sort().to_list() == [USER, OTHER]
    export(hashed)
    for user in (USER, OTHER):
        assert holds(hashed.path, user) == []
        assert not [path for path in hashed.path.rglob("*") if path.is_file() and user.encode() in path.read_bytes()]
    assert tmp_path.joinpath("tables").exists()


def test_relations_between_people_are_kept_under_hashes_and_those_of_items_as_they_are(hashed):
    of = hashed.people.of
    assert hashed.store.read("relations").rows() == [
        (of(USER), "same_household", of(OTHER)),
        (SOAP, "goes_with", "H-oak-lamp-small"),
        (of(USER), "likes", "tea"),
    ]


def test_an_erased_person_is_gone_and_stays_away(hashed, tmp_path):
    with served.client(hashed) as client:
        assert listed(client)["basis"] == "personal"
        kept = hashed.people.of(USER)
        assert holds(hashed.path, kept)
        client.delete(f"/v1/users/{USER}").raise_for_status()
        assert listed(client)["basis"] == "shop_popular"
    assert holds(hashed.path, kept) == []
    again = Shop.open(hashed.path)
    log = market.log().with_columns(pl.lit("again").alias("session_id"))
    log.write_parquet(tmp_path / "again.parquet")
    again.import_files(interactions=tmp_path / "again.parquet")
    assert Model.load(again).strangers([USER, OTHER]).to_list() == [USER]


def test_who_was_erased_before_the_hashes_comes_into_no_new_shop(shop, tmp_path):
    forget(shop, USER)
    new = hashing(Shop.init(tmp_path / "new"))
    for name in ("erasures.jsonl", "privacy.key"):
        (new.path / name).write_bytes((shop.path / name).read_bytes())
    new.import_files(**tables(tmp_path / "tables"))
    known = new.dataset().users
    assert (known.rows([new.people.of(USER)])[0], known.rows([new.people.of(OTHER)])[0] >= 0) == (-1, True)


def test_an_export_comes_back_as_it_went(hashed, tmp_path):
    written = export(hashed, tmp_path / "out").folder
    new = hashing(Shop.init(tmp_path / "new"))
    (new.path / "privacy.key").write_bytes((hashed.path / "privacy.key").read_bytes())
    new.import_files(**{path.stem: path for path in written.iterdir()})
    for table in ("interactions", "users", "relations"):
        assert new.store.read(table).equals(hashed.store.read(table))


def test_the_setting_is_refused_where_the_shop_keeps_people_otherwise(shop, hashed, tmp_path):
    market.log().write_parquet(tmp_path / "more.parquet")
    other = hashing(shop)
    for refused, said in (
        (lambda: Model.load(other), "is true, and 160 people of this shop are kept as they came"),
        (lambda: other.import_files(interactions=tmp_path / "more.parquet"), "hash_user_ids is true"),
    ):
        with pytest.raises(InputError, match=said):
            refused()
    path = hashed.path / "kuapin.toml"
    path.write_text(path.read_text().replace("hash_user_ids = true", "hash_user_ids = false"))
    with pytest.raises(InputError, match="is false, and 160 people of this shop are kept as keyed hashes"):
        Model.load(Shop.open(hashed.path))


def test_a_hash_needs_the_key_and_stands_for_itself(tmp_path, monkeypatch):
    key = privacy_key(tmp_path)
    one, other, off = People(key), People(b"other"), People(None)
    assert one.of("u") != other.of("u")
    assert one.of(one.of("u")) == one.of("u")
    assert one.of("u") != Erasures(tmp_path).person("u")[:40]
    assert (off.of("u"), off.column(pl.Series(["u"])).to_list()) == ("u", ["u"])
    assert one.column(pl.Series(["u", None, "v", "u"])).to_list() == [one.of("u"), None, one.of("v"), one.of("u")]
    monkeypatch.setenv("KUAPIN_PRIVACY_KEY", "other")
    assert People(privacy_key(tmp_path)).of("u") == other.of("u")
