"""Vectors on disk, by the hash of what they were made from: only new or changed texts are encoded."""

import hashlib
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from kuapin.durable import write_durably

Vectors = NDArray[np.float32]
HASH_BYTES = 16


class VectorCache:
    """A folder of shards, each one safetensors file with text hashes and their vectors.

    Shards are only ever added; a damaged one is left out, and removed when its texts are encoded again.

    One folder holds vectors of one encoder and one way of writing texts; the folder's name says which. Two processes
    may add to it at once: a shard's name is the hash of its content.

    Args:
        folder: created on the first ``add``.
        dimension: length of a vector.
    """

    def __init__(self, folder: Path, dimension: int) -> None:
        self.folder = folder
        self.dimension = dimension
        self._known: dict[bytes, tuple[int, int]] = {}
        self._shards: list[Vectors] = []
        self._damaged: list[Path] = []
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
            self._read(path)

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def _read(self, path: Path) -> None:
        try:
            with safe_open(path, framework="numpy") as shard:
                hashes, vectors = shard.get_tensor("hashes"), shard.get_tensor("vectors")
                intact = (shard.metadata() or {}).get("checksum") == _checksum(hashes, vectors)
        except (SafetensorError, OSError) as error:
            intact, reason = False, str(error)
        else:
            reason = "its checksum is wrong"
        if not intact or vectors.shape != (len(hashes), self.dimension):
            warnings.warn(f"{path}: left out, {reason}; its texts are encoded again.", stacklevel=4)
            self._damaged.append(path)
            return
        self._remember([row.tobytes() for row in hashes], vectors)

    def _remember(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        number = len(self._shards)
        self._shards.append(vectors)
        for row, key in enumerate(keys):
            self._known.setdefault(key, (number, row))

    def get(self, keys: Sequence[bytes]) -> Vectors:
        """The vectors of keys that are all in the cache, float32 (n, d)."""
        places = np.array([self._known[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        out = np.empty((len(keys), self.dimension), np.float32)
        for number in np.unique(places[:, 0]):
            here = places[:, 0] == number
            out[here] = self._shards[number][places[here, 1]]
        return out

    def add(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Add one shard, durably; nothing for no keys."""
        if not keys:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        hashes = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, HASH_BYTES)
        checksum = _checksum(hashes, vectors)
        content = save({"hashes": hashes, "vectors": vectors}, metadata={"checksum": checksum})
        name = hashlib.sha256(hashes.tobytes()).hexdigest()[:20]
        for path in self._damaged:
            path.unlink(missing_ok=True)
        self._damaged.clear()
        write_durably(self.folder / f"{name}.safetensors", content)
        self._remember(keys, vectors)


def text_key(text: str) -> bytes:
    """The key of one text: 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def _checksum(hashes: NDArray[np.uint8], vectors: Vectors) -> str:
    return f"{zlib.crc32(vectors.tobytes(), zlib.crc32(hashes.tobytes())):08x}"
