import numpy as np
import pytest

from kuapin.errors import ModelFolderError
from kuapin.retrieval.index import ExactIndex, HnswConfig, HnswIndex


def clustered(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around a few hundred centres: neighbours are many and close, as item texts are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n // 20, d))
    vectors = centres[rng.integers(0, len(centres), n)] + 0.5 * rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = clustered(6_000, 32)
QUERIES = clustered(6_000, 32)[::60] + np.float32(0.02)


@pytest.fixture(scope="module")
def hnsw() -> HnswIndex:
    return HnswIndex(VECTORS)


def reference(queries, n, mask=None):
    products = (queries.astype(np.float64) @ VECTORS.T.astype(np.float64)).astype(np.float32)
    if mask is not None:
        products[:, ~mask] = -np.inf
    return np.argsort(-products, axis=1, kind="stable")[:, :n]


def test_exact_by_hand():
    index = ExactIndex(np.array([[1, 0], [0, 1], [0.6, 0.8], [0.6, 0.8]], np.float32))
    rows, scores = index.search(np.array([[1, 0], [0, 1]], np.float32), 3)
    assert rows.tolist() == [[0, 2, 3], [1, 2, 3]]
    np.testing.assert_allclose(scores, [[1, 0.6, 0.6], [1, 0.8, 0.8]], rtol=1e-6)
    rows, scores = index.search(np.array([[1, 0]], np.float32), 3, np.array([False, True, False, True]))
    assert rows.tolist() == [[3, 1, -1]]
    assert scores[0, 2] == -np.inf
    assert rows.dtype == np.int32
    assert scores.dtype == np.float32


@pytest.mark.parametrize("share", [None, 0.01, 0.2, 0.9])
def test_exact_agrees_with_sorting_everything(share):
    mask = None if share is None else np.random.default_rng(1).random(len(VECTORS)) < share
    rows, _ = ExactIndex(VECTORS).search(QUERIES, 10, mask)
    np.testing.assert_array_equal(rows, reference(QUERIES, 10, mask))
    one, _ = ExactIndex(VECTORS).search(QUERIES[:1], 10, mask)
    np.testing.assert_array_equal(one, rows[:1])


@pytest.mark.parametrize("share", [None, 0.02, 0.3, 0.9])
def test_hnsw_finds_nearly_all(hnsw, share):
    mask = None if share is None else np.random.default_rng(1).random(len(VECTORS)) < share
    rows, scores = hnsw.search(QUERIES, 10, mask)
    best = reference(QUERIES, 10, mask)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), best.tolist(), strict=True)])
    assert recall >= 0.98
    assert (np.diff(scores, axis=1) <= 0).all()
    products = np.einsum("qnd,qd->qn", VECTORS[rows], QUERIES)
    np.testing.assert_allclose(scores, products, rtol=1e-5, atol=1e-6)  # float32 scores, not those of bfloat16


def test_one_query_and_many_agree(hnsw):
    rows, _ = hnsw.search(QUERIES, 5)
    for place in range(0, len(QUERIES), 17):
        one, _ = hnsw.search(QUERIES[place : place + 1], 5)
        np.testing.assert_array_equal(one[0], rows[place])


@pytest.mark.parametrize("kind", [ExactIndex, HnswIndex])
def test_saved_and_loaded_finds_the_same(tmp_path, kind):
    index = kind(VECTORS[:500])
    index.save(tmp_path)
    loaded = kind.load(tmp_path)
    assert len(loaded) == 500
    for mine, theirs in zip(index.search(QUERIES, 7), loaded.search(QUERIES, 7), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_search_effort_survives_saving(tmp_path):
    HnswIndex(VECTORS[:100], HnswConfig(expansion_search=77)).save(tmp_path)
    assert HnswIndex.load(tmp_path).graph.expansion_search == 77


@pytest.mark.parametrize("name", ["vectors.safetensors", "hnsw.usearch", "hnsw.json"])
@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_a_damaged_index_is_refused(tmp_path, name, damage):
    HnswIndex(VECTORS[:300]).save(tmp_path)
    file = tmp_path / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelFolderError, match=r"Train again"):
        HnswIndex.load(tmp_path)


def test_a_graph_of_other_vectors_is_refused(tmp_path):
    HnswIndex(VECTORS[:300]).save(tmp_path)
    ExactIndex(VECTORS[:299]).save(tmp_path)
    with pytest.raises(ModelFolderError, match="does not fit"):
        HnswIndex.load(tmp_path)


@pytest.mark.parametrize("kind", [ExactIndex, HnswIndex])
def test_no_items(kind):
    rows, scores = kind(np.empty((0, 4), np.float32)).search(np.ones((2, 4), np.float32), 3)
    assert (rows == -1).all()
    assert (scores == -np.inf).all()


def test_no_query(hnsw):
    rows, scores = hnsw.search(np.empty((0, 32), np.float32), 3)
    assert rows.shape == scores.shape == (0, 3)
