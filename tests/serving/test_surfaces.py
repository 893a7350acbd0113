"""Surfaces other than the list of products, over HTTP: answered from memory."""

import polars as pl

from kuapin.data.identity import with_event_ids
from kuapin.workspace import Shop
from tests import served


def test_the_log_is_read_once_for_all_who_ask_and_not_again_for_items_that_come(tmp_path, monkeypatch):
    """Home and profile answered from what was read: with every reading of the log forbidden they say the same."""
    shop = served.shop(tmp_path)
    (shop.path / "kuapin.toml").write_text('[profile]\ntells = ["age"]\n')
    shop = Shop.open(shop.path)
    log = pl.DataFrame({"user_id": ["user 003"] * 3 + ["user 004"], "query": ["Mint Tea", "mint tea", "mint", "oak"]})
    log = log.with_columns(pl.lit(1_600_000_000).alias("timestamp"), pl.lit("search").alias("event"))
    people = pl.DataFrame({"user_id": [f"user {k:03}" for k in range(4)], "age": ["young", "old", "young", "old"]})
    shop.store.write({"interactions": with_event_ids(log), "users": people})
    with served.client(shop) as client:
        live = client.app.state.service.live
        live.warm()

        def said(surface, user="user 003"):
            answer = client.get(f"/v1/{surface}", params={"user_id": user, "n": 50})
            assert answer.status_code == 200, answer.text
            return [row["target_id"] for row in answer.json()["recommendations"]]

        before = {surface: said(surface) for surface in ("home", "profile")}
        assert any("mint" in word for word in before["profile"])
        assert "age: old" in before["profile"]
        store = live.current.model.storefront.store
        read = type(store).read
        seen = []
        monkeypatch.setattr(
            type(store), "read", lambda self, table, *rest: (seen.append(table), read(self, table, *rest))[1]
        )
        assert {surface: said(surface) for surface in before} == before
        hidden = next(item for item in before["home"] if item.startswith(("B-", "H-", "G-", "P-")))
        client.delete(f"/v1/items/{hidden}").raise_for_status()
        assert {surface: hidden in said(surface) for surface in before} == {"home": False, "profile": False}
        assert said("profile") == before["profile"]
        assert said("profile", "user 004") != before["profile"]
        assert said("profile", "nobody") == []
        for surface, user, basis in (
            ("profile", "nobody", "nothing"),
            ("similar", "nobody", "nothing"),
            ("similar", "user 003", "personal"),
        ):
            asked = {"user_id": user, "surface": surface}
            answer = client.get("/v1/recommendations", params=asked).json()
            assert (answer["basis"], answer["recommendations"] == []) == (basis, basis == "nothing")
        assert not {"interactions", "users"} & set(seen)


def test_a_log_of_the_past_is_said_once_a_load_where_there_are_campaigns(shop, caplog):
    with served.client(shop):
        assert "as if today were" not in caplog.text
    shop.store.write({"campaigns": pl.DataFrame({"campaign_id": ["x"], "brand": ["Oak"]})})
    with served.client(Shop.open(shop.path)):
        assert caplog.text.count("campaigns begin and end as if today were") == 1
