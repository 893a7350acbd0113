"""The knowledge graph of a shop: what its relations say of items, and what follows from the items themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from kuapin import columns as c
from kuapin.data.dataset import Catalogue
from kuapin.retrieval.members import members
from kuapin.retrieval.source import Arrays, with_rows
from kuapin.text.attributes import attributes

MOST_SHARE = 0.1
"""What a larger share of the items has in common says nothing of them."""


@dataclass(frozen=True)
class Entities:
    """Things of one kind that items belong to, are made of, or go with: brands, shelves, a colour, a socket.

    Attributes:
        of_item: items × things float32 CSR.
        names: of the things.
    """

    of_item: sparse.csr_matrix
    names: tuple[str, ...]


@dataclass(frozen=True)
class Walk:
    """One step from items to items, a pair of matrices a way: there, and back to items where it leads to things.

    Through a shelf of many items the product of the two would be as dense as the shelf is large.
    """

    ways: tuple[tuple[sparse.csr_matrix, sparse.csr_matrix | None], ...]

    def step(self, mass: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where the mass (n_items, users) goes, of the same shape."""
        total = np.zeros_like(mass)
        for there, back in self.ways:
            reached = there @ mass
            total += reached if back is None else back @ reached
        return total


@dataclass(frozen=True)
class Knowledge:
    """A graph of items and things.

    Attributes:
        entities: kind → things: ``brand``, ``category``, attributes by column, relations whose other end is no item.
        links: relation → items × items float32 CSR, read both ways.
    """

    entities: Mapping[str, Entities]
    links: Mapping[str, sparse.csr_matrix]

    @property
    def n_items(self) -> int:
        """How many items there are."""
        matrices = [one.of_item for one in self.entities.values()] + list(self.links.values())
        return int(matrices[0].shape[0]) if matrices else 0

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Knowledge":
        """Read the items, and ``catalogue.relations`` where it has some."""
        entities = {
            c.BRAND: Entities(members(catalogue.brand), catalogue.brands),
            c.CATEGORY: Entities(members(catalogue.leaf), catalogue.leaves),
        }
        for values in attributes(catalogue.frame):
            entities[values.name] = _named(np.arange(len(catalogue)), values, len(catalogue))
        links: dict[str, sparse.csr_matrix] = {}
        for (relation,), part in (catalogue.relations if catalogue.relations is not None else _NONE).group_by(
            c.RELATION, maintain_order=True
        ):
            head, tail = catalogue.items.rows(part[c.HEAD]), catalogue.items.rows(part[c.TAIL])
            both = (head >= 0) & (tail >= 0) & (head != tail)
            if both.any():
                links[str(relation)] = _both_ways(head[both], tail[both], len(catalogue))
            thing = np.where(head >= 0, head, tail)
            other = pl.select(pl.when(pl.Series(head >= 0)).then(part[c.TAIL]).otherwise(part[c.HEAD])).to_series()
            one = (head >= 0) ^ (tail >= 0)
            if one.any():
                entities[str(relation)] = _named(thing[one], other.filter(pl.Series(one)), len(catalogue))
        always = (c.BRAND, c.CATEGORY)
        return cls({kind: one for kind, one in entities.items() if one.of_item.nnz or kind in always}, links)

    def walk(self) -> "Walk":
        """The walk from item to item: any thing or link of an item is as likely, and any item behind it."""
        ways = [(one.of_item, _rows_to_one(one.of_item.T.tocsr())) for one in self.entities.values()]
        ways += [(link, None) for link in self.links.values()]
        known = sum((np.diff(out.indptr) > 0).astype(np.float32) for out, _ in ways)
        share = (1 / np.maximum(known, 1)).astype(np.float32)
        steps = []
        for out, back in ways:
            total = np.asarray(out.sum(axis=1)).ravel()
            scaled = sparse.diags(share / np.maximum(total, 1)) @ out
            steps.append((scaled.T.tocsr().astype(np.float32), None if back is None else back.T.tocsr()))
        return Walk(tuple(steps))

    def path(self, item: int, other: int) -> tuple[str, str | None] | None:
        """How one item leads to another: a relation, or a kind and the thing that they share; ``None``: not directly.

        Relations come first, then what the fewest items share.
        """
        for relation, link in self.links.items():
            if other in link.indices[link.indptr[item] : link.indptr[item + 1]]:
                return relation, None
        best: tuple[int, str, str] | None = None
        for kind, one in self.entities.items():
            own, its = (one.of_item.indices[one.of_item.indptr[k] : one.of_item.indptr[k + 1]] for k in (item, other))
            for thing in np.intersect1d(own, its):
                size = int(np.count_nonzero(one.of_item.indices == thing))
                if best is None or size < best[0]:
                    best = size, kind, one.names[thing]
        return None if best is None else best[1:]

    def with_items(self, catalogue: Catalogue) -> "Knowledge":
        """The graph with more items: their brands and shelves are known, no relations."""
        known = {c.BRAND: (catalogue.brand, catalogue.brands), c.CATEGORY: (catalogue.leaf, catalogue.leaves)}
        n = len(catalogue)
        entities = {
            kind: Entities(members(known[kind][0]), known[kind][1])
            if kind in known
            else Entities(with_rows(one.of_item, n), one.names)
            for kind, one in self.entities.items()
        }
        return Knowledge(entities, {name: with_rows(link, n, n) for name, link in self.links.items()})

    def arrays(self) -> Arrays:
        """All matrices by number, and ``names``: JSON as bytes."""
        names = {"entities": {kind: one.names for kind, one in self.entities.items()}, "links": list(self.links)}
        arrays: Arrays = {"names": np.frombuffer(json.dumps(names).encode(), np.uint8)}
        matrices = [one.of_item for one in self.entities.values()] + list(self.links.values())
        for number, matrix in enumerate(matrices):
            arrays |= {
                f"{number}.indptr": matrix.indptr.astype(np.int64),
                f"{number}.indices": matrix.indices.astype(np.int32),
                f"{number}.values": matrix.data.astype(np.float32),
                f"{number}.shape": np.array(matrix.shape, np.int64),
            }
        return arrays

    @classmethod
    def restore(cls, arrays: Arrays) -> "Knowledge":
        """Read what ``arrays`` gave."""
        names = json.loads(np.asarray(arrays["names"], np.uint8).tobytes().decode())
        kinds, relations = list(names["entities"]), names["links"]
        matrices = [
            sparse.csr_matrix(
                tuple(arrays[f"{number}.{part}"] for part in ("values", "indices", "indptr")),
                shape=tuple(arrays[f"{number}.shape"].tolist()),
            )
            for number in range(len(kinds) + len(relations))
        ]
        entities = {
            kind: Entities(matrix, tuple(names["entities"][kind]))
            for kind, matrix in zip(kinds, matrices, strict=False)
        }
        return cls(entities, dict(zip(relations, matrices[len(kinds) :], strict=True)))


_NONE = pl.DataFrame(schema={c.HEAD: pl.String, c.RELATION: pl.String, c.TAIL: pl.String})


def shared(relations: pl.DataFrame, catalogue: Catalogue, names: tuple[str, ...], most: int) -> sparse.csr_matrix:
    """Items that a relation leads to the same thing, which is no item: items × items int32 CSR, 1 where there is one.

    Args:
        relations: head, relation, tail.
        catalogue: the items.
        names: of the relations that count.
        most: things that more items lead to say nothing.
    """
    n = len(catalogue)
    total = sparse.csr_matrix((n, n), dtype=np.int32)
    for name in names:
        table = relations.filter(pl.col(c.RELATION) == name)
        head, tail = catalogue.items.rows(table[c.HEAD]), catalogue.items.rows(table[c.TAIL])
        one = (head >= 0) & (tail < 0)
        if not one.any():
            continue
        things = table[c.TAIL].filter(pl.Series(one)).rank("dense").to_numpy().astype(np.int64) - 1
        shape = (n, int(things.max()) + 1)
        of_item = sparse.csr_matrix((np.ones(len(things), np.int32), (head[one], things)), shape=shape)
        of_item.data[:] = 1
        few = np.flatnonzero(np.asarray((of_item > 0).sum(axis=0)).ravel() <= most)
        total = total + of_item[:, few] @ of_item[:, few].T
    total = total.tocsr()
    total.setdiag(0)
    total.eliminate_zeros()
    total.data[:] = 1
    return total


def _named(rows: NDArray[np.integer], values: pl.Series, n_items: int) -> Entities:
    """Things by name, those that two items have at least and not too many."""
    table = pl.DataFrame({"row": rows, "name": values}).drop_nulls().filter(pl.col("name") != "").unique()
    size = table.group_by("name").len().filter(pl.col("len").is_between(2, max(2, int(MOST_SHARE * n_items))))
    names = size["name"].sort()
    table = table.filter(pl.col("name").is_in(names.implode())).sort("row", "name")
    code = names.search_sorted(table["name"]).to_numpy() if names.len() else np.empty(0, np.int64)
    ones = np.ones(table.height, np.float32)
    of_item = sparse.csr_matrix((ones, (table["row"].to_numpy(), code)), shape=(n_items, names.len()))
    return Entities(of_item, tuple(names))


def _both_ways(head: NDArray[np.integer], tail: NDArray[np.integer], n: int) -> sparse.csr_matrix:
    one, other = np.concatenate([head, tail]), np.concatenate([tail, head])
    link = sparse.csr_matrix((np.ones(len(one), np.float32), (one, other)), shape=(n, n))
    link.data[:] = 1
    return link


def _rows_to_one(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    total = np.asarray(matrix.sum(axis=1)).ravel()
    return (sparse.diags((1 / np.maximum(total, 1e-9)).astype(np.float32)) @ matrix).tocsr()
