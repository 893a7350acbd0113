"""Whoever is erased is nowhere any more, and comes back by no way."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from kuapin.cli.app import app
from kuapin.cli.failures import run
from kuapin.data.sql.erasures import Erasures
from kuapin.data.store import ParquetStore
from kuapin.errors import StoreError
from kuapin.model import Model
from kuapin.model_folder import Releases
from kuapin.pipeline import suspects_report
from kuapin.pipeline.export import export
from kuapin.pipeline.forget import finish, forget
from kuapin.pipeline.suspects_report import NAME, read_suspects, write_suspects
from kuapin.workspace import Shop
from tests import served

USER = "user 003"


def _versions(shop):
    return [one.version for one in Releases(shop.models).versions()]


def basis(client, user=USER):
    return client.get("/v1/recommendations", params={"user_id": user}).json()["basis"]


def holds(folder, user=USER):
    """The files below a folder that hold the id, as text or in a table."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            hit = any((frame[name] == user).any() for name in frame.columns if frame.schema[name] == pl.String)
        else:
            hit = user.encode() in path.read_bytes()
        if hit:
            found.append(path.relative_to(folder).as_posix())
    return found


def buy(client, user=USER, item="P-sea-bed-small", **more):
    event = {"user_id": user, "item_id": item, "event": "purchase"} | more
    return client.post("/v1/interactions", json={"interactions": [event]}).json()


def test_suspects_are_not_kept_past_an_erasure_nor_named_by_a_training_that_began_before(tmp_path):
    """JSON writes these ids otherwise than they are."""
    shop, ids = Shop.init(tmp_path / "shop"), ['a"b', "a\\b"]
    named = {"told": "Not learnt from.", "robots": {"count": 3, "users": [*ids, "c"]}}
    assert shop.store.snapshot is not None  # opened while nobody was erased
    write_suspects(shop, named)
    for user in ids:
        receipt = forget(Shop.open(shop.path), user)
        assert read_suspects(shop) is None
        assert f"reports/{NAME}" in receipt.files
        kept = write_suspects(shop, named)
        assert user not in kept["robots"]["users"]
        assert kept == read_suspects(shop)
    assert kept == {"told": "Not learnt from.", "robots": {"count": 3, "users": ["c"]}}


def test_who_is_erased_while_suspects_are_written_is_not_named(tmp_path, monkeypatch):
    shop = Shop.init(tmp_path / "shop")
    real, left = suspects_report.write_durably, ["c"]

    def erased_first(path, content):
        if left:
            forget(Shop.open(shop.path), left.pop())
        real(path, content)

    monkeypatch.setattr(suspects_report, "write_durably", erased_first)
    write_suspects(shop, {"robots": {"count": 1, "users": ["c"]}})
    assert read_suspects(shop) == {"robots": {"count": 1, "users": []}}


def test_an_erased_person_is_in_no_file_of_the_shop(shop):
    (shop.reports / "report.html").write_text(f"<h3>User {USER}</h3>")
    (shop.reports / "other.html").write_text("<h3>User user 0031</h3>")
    (shop.runs / "tuning").mkdir()
    (shop.runs / "tuning" / "histories.txt").write_text(USER)
    export(shop)
    old = Releases(shop.models).live()
    served.publish(shop, candidates=21)
    with served.client(shop) as client:
        buy(client)
        assert len(holds(shop.path)) >= 4, holds(shop.path)
        answer = client.delete(f"/v1/users/{USER}").json()
        assert basis(client) == "shop_popular"
    assert holds(shop.path) == ["reports/other.html"]  # of another, whose id begins so
    assert answer["rows"] == 25
    assert [line for line in answer["remains"] if "kuapin train" in line]
    assert (shop.reports / "other.html").exists()
    assert not (shop.models / old).exists()
    # A training that had begun before is not clean because it ends later; one that begins now is
    late = served.publish(Shop.open(shop.path), candidates=22, snapshot="s1-aaa")
    clean = served.publish(Shop.open(shop.path), candidates=23)
    finish(Shop.open(shop.path))
    assert (late in _versions(shop), clean in _versions(shop)) == (False, True)
    assert Shop.open(shop.path).dataset().users.rows([USER])[0] == -1


def test_tables_that_cannot_be_written_do_not_say_that_nobody_was_found(shop, monkeypatch, capfd):
    def locked(*_):
        raise StoreError("Somebody else writes.")

    monkeypatch.setattr(ParquetStore, "erase", locked)
    assert run(app, ["forget", str(shop.path), "--user", USER]) == 0
    said = capfd.readouterr().err
    assert "The tables still hold rows" in said
    assert "Nothing was found" not in said


def test_the_others_stay(shop):
    before = shop.dataset()
    forget(shop, USER)
    after = Shop.open(shop.path).dataset()
    assert len(after.users) == len(before.users) - 1
    assert len(after.histories.items) == len(before.histories.items) - 24
    assert (
        after.histories.of(after.users.row("user 004")).tolist()
        == before.histories.of(before.users.row("user 004")).tolist()
    )


def test_a_restored_backup_brings_nobody_back(shop, tmp_path):
    with served.client(shop) as client:
        buy(client)
    shutil.copytree(shop.path, tmp_path / "backup")
    with served.client(Shop.open(shop.path)) as client:
        client.delete(f"/v1/users/{USER}").raise_for_status()
    shutil.rmtree(shop.path / "data")
    shutil.copytree(tmp_path / "backup" / "data", shop.path / "data")
    for path in tmp_path.glob("backup/service.sqlite*"):
        shutil.copy(path, shop.path / path.name)
    restored = Shop.open(shop.path)
    assert holds(shop.path)  # the bytes are back, and nothing reads them
    assert restored.dataset().users.rows([USER])[0] == -1
    assert Model.load(restored).strangers([USER]).to_list() == [USER]
    with served.client(restored) as client:
        assert basis(client) == "shop_popular"


def test_a_running_service_learns_of_it_from_the_command_line(shop, capfd):
    with served.client(shop, watch_seconds=0.05) as client:
        assert basis(client) == "personal"
        capfd.readouterr()
        assert run(app, ["forget", str(shop.path), "--user", USER, "--json"]) == 0
        said = json.loads(capfd.readouterr().out)
        assert said["rows"] == 24
        releases = _versions(shop)
        write_suspects(shop, {"told": "Not learnt from.", "robots": {"count": 1, "users": ["c"]}})
        assert run(app, ["forget", str(shop.path), "--user", "nobody"]) == 0
        assert _versions(shop) == releases
        assert "Nothing was found under this id" in capfd.readouterr().err
        client.app.state.service.erased.look()
        assert basis(client) == "shop_popular"
        client.app.state.service.tidy()
        assert client.app.state.service.live.current.model.users.rows([USER])[0] == -1
        assert basis(client) == "shop_popular"


def test_what_was_before_is_not_taken_again_and_what_comes_later_counts(shop):
    with served.client(shop) as client:
        client.delete(f"/v1/users/{USER}").raise_for_status()
        assert buy(client, timestamp=1_700_000_000) == {"added": 0, "known": 0}
        assert basis(client) == "shop_popular"
        service = client.app.state.service
        later = next(iter(service.store.erasures.all().values())).erased_at + 5
        assert buy(client, timestamp=later) == {"added": 1, "known": 0}
        assert basis(client) == "personal"
        assert client.get("/v1/recommendations", params={"user_id": USER, "explain": True}).status_code == 200
    assert Shop.open(shop.path).dataset().histories.lengths.sum() == 159 * 24 + 1


def test_a_clock_that_was_put_back_keeps_nobody(shop, tmp_path, monkeypatch):
    right = time.time
    with served.client(shop) as client:
        buy(client)
        shutil.copytree(shop.path, tmp_path / "backup")
        monkeypatch.setattr(time, "time", lambda: right() - 400 * 86_400)
        client.delete(f"/v1/users/{USER}").raise_for_status()
        assert basis(client) == "shop_popular"
        service = client.app.state.service
        service.tidy()
        assert service.live.current.model.users.rows([USER])[0] == -1
        loaded = service.live.current
        service.tidy()
        assert service.live.current is loaded  # once is enough
    monkeypatch.undo()
    shutil.rmtree(shop.path / "data")
    shutil.copytree(tmp_path / "backup" / "data", shop.path / "data")
    for path in tmp_path.glob("backup/service.sqlite*"):
        shutil.copy(path, shop.path / path.name)
    with served.client(Shop.open(shop.path)) as client:
        assert basis(client) == "shop_popular"


def test_no_rule_knows_an_erased_user_by_his_row_in_the_table(shop):
    shop.store.write({"users": pl.DataFrame({"user_id": [USER], "age": [40]})})
    (shop.path / "rules.toml").write_text('[[exclude]]\ncategory = "Pets"\nusers = { column = "age", equals = 40 }\n')
    with served.client(Shop.open(shop.path)) as client:

        def shown(user):
            rows = client.get("/v1/recommendations", params={"user_id": user, "n": 40}).json()["recommendations"]
            return [row["target_id"] for row in rows]

        assert shown("nobody") != [item for item in shown("nobody") if not item.startswith("P-")]
        assert shown(USER) == [item for item in shown(USER) if not item.startswith("P-")]
        client.delete(f"/v1/users/{USER}").raise_for_status()
        assert shown(USER) == shown("nobody")


def test_the_tombstone_does_not_name_the_person(shop):
    erasure = forget(shop, USER).erasure
    text = (shop.path / "erasures.jsonl").read_text()
    assert USER not in text
    assert erasure.receipt in text
    assert (shop.path / "privacy.key").stat().st_mode & 0o077 == 0


def test_an_unknown_person_gets_a_receipt_too(client):
    answer = client.delete("/v1/users", params={"user_id": "a/b"})
    assert answer.status_code == 200
    assert (answer.json()["rows"], len(answer.json()["receipt"])) == (0, 16)


def test_a_torn_file_of_tombstones_is_refused(shop):
    forget(shop, USER)
    with (shop.path / "erasures.jsonl").open("a") as file:
        file.write('{"person": ')
    with pytest.raises(Exception, match="erased people would come back"):
        Shop.open(shop.path).dataset()


def test_an_export_reads_back_to_the_same_tables(shop, tmp_path):
    with served.client(shop) as client:
        buy(client, text="so good")
    shop = Shop.open(shop.path)
    written = export(shop, tmp_path / "out")
    assert written.rows == {"items": 96, "interactions": 160 * 24 + 1}
    copy = Shop.init(tmp_path / "copy")
    for _ in range(2):  # the second time nothing is new
        copy.import_files(items=tmp_path / "out/items.parquet", interactions=tmp_path / "out/interactions.parquet")
    one, other = shop.store.read("interactions"), copy.store.read("interactions")
    assert one.select("event_id", "user_id", "item_id", "timestamp", "text").equals(
        other.select("event_id", "user_id", "item_id", "timestamp", "text")
    )
    with pytest.raises(Exception, match="is not empty"):
        export(shop, tmp_path / "out")


def test_relations_of_a_person_go_from_exports_too(shop):
    folder = shop.path / "exports" / "one"
    folder.mkdir(parents=True)
    links = {"head": [USER, "item", "other"], "relation": ["received"] * 3, "tail": ["campaign:1", USER, "campaign:1"]}
    pl.DataFrame(links).write_parquet(folder / "relations.parquet")
    receipt = forget(shop, USER)
    assert "exports/one/relations.parquet" in receipt.files
    assert pl.read_parquet(folder / "relations.parquet").rows() == [("other", "received", "campaign:1")]


def test_two_who_are_erased_at_once_are_both_kept(shop):
    with ThreadPoolExecutor(8) as pool:
        times = list(pool.map(lambda number: Erasures(shop.path).add(f"user {number:03d}").erased_at, range(16)))
    assert len(Erasures(shop.path).all()) == 16
    assert len(set(times)) == 16
