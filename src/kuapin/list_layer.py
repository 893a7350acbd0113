"""The list layer of a shop: its rules, its diversity and its safety, read from the workspace for a release."""

import polars as pl

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.data.vocabulary import Vocabulary
from kuapin.ranking.bound_rules import Rules
from kuapin.ranking.recommender import Recommender
from kuapin.ranking.reranker import Reranker
from kuapin.ranking.rule_binding import Tables, bind, columns_of
from kuapin.ranking.rules import FILE, read_rules
from kuapin.workspace import Shop


def open_reranker(shop: Shop, recommender: Recommender, catalogue: Catalogue, users: Vocabulary) -> Reranker:
    """What puts the lists of a release into the order in which they are shown.

    Args:
        shop: with its tables and ``rules.toml``.
        recommender: of the release.
        catalogue: of the release, with its present availability.
        users: user_id ↔ row of the histories.

    Raises:
        InputError: a rule breaks the form, names what does not exist, or contradicts another.
    """
    return Reranker(recommender, catalogue, open_rules(shop, catalogue, users), shop.config.diversity)


def open_rules(shop: Shop, catalogue: Catalogue, users: Vocabulary) -> Rules:
    """The rules of ``rules.toml``, bound to the items of a release; none where there is no file."""
    path = shop.path / FILE
    rules = read_rules(path)
    if not rules:
        return Rules()
    of_items, of_users = columns_of(rules)
    items, known_items = _aligned(shop, c.ITEMS, c.ITEM_ID, catalogue.items.ids, of_items)
    people, known_users = _aligned(shop, c.USERS, c.USER_ID, users.ids, of_users)
    tables = Tables(catalogue, items, people, shop.store.read(c.RELATIONS), known_items, known_users)
    return bind(path, rules, tables)


def _aligned(
    shop: Shop, table: str, key: str, ids: pl.Series, wanted: set[str]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Columns of a table in the order of some ids, null where it lacks one, and the names of all its columns."""
    frame = shop.store.read(table)
    kept = frame.select(key, *sorted(wanted & set(frame.columns) - {key}))
    return ids.alias(key).to_frame().join(kept, on=key, how="left", maintain_order="left"), tuple(frame.columns)
