"""What a release says about itself: ``manifest.json`` and ``routing.json``.

The sha256 of every file and the digest of the manifest detect damage; anyone who can write files can also write new
hashes, so that only the signature, made with a key that is elsewhere, detects alteration.
"""

import hashlib
import hmac
import json
import math
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from kuapin.errors import ModelFolderError

FORMAT = 1
"""Version of the layout of a model folder; raised when older programs could not read a newer folder."""

MANIFEST = "manifest.json"
ROUTING = "routing.json"


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


Metric = Annotated[float | None, AfterValidator(_finite)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Route(_Record):
    """Which parts of a release serve a category: paths inside the release, ``None`` where it has no such part."""

    encoder: str | None = None
    user_model: str | None = None
    ranker: str | None = None


class Routing(_Record):
    """Which parts serve which top-level category."""

    default: Route = Route()
    categories: dict[str, Route] = Field(default_factory=dict)

    def of(self, category: str) -> Route:
        """The parts that serve one category; a category without its own route has the default."""
        return self.categories.get(category, self.default)

    def parts(self) -> set[str]:
        """All paths inside the release that some route names."""
        routes = (self.default, *self.categories.values())
        return {part for route in routes for part in (route.encoder, route.user_model, route.ranker) if part}


def part_of(route: Route) -> str:
    """The folder inside a release that holds the catalogue and the recommender of a route: ``.``, or ``parts/<name>``.

    Raises:
        ModelFolderError: the route has no ranker.
    """
    if route.ranker is None:
        raise ModelFolderError("A route of this release names no ranker, so that nothing serves it. Train again.")
    return str(PurePosixPath(route.ranker).parent)


class FileEntry(_Record):
    """One file of a release."""

    sha256: str
    bytes: int


class Manifest(_Record):
    """Everything about a release but its content.

    Attributes:
        format: ``FORMAT`` of the program that wrote it.
        kuapin: version of the program that wrote it.
        version: name of the release, which is the name of its folder.
        created_at: UTC, ISO 8601.
        snapshot: name of the data snapshot that it was trained on.
        fingerprint: hash of that snapshot's content.
        config: the configuration in force.
        metrics: dotted name → value; ``None`` where it is undefined (NaN and infinities become ``None``).
        files: path inside the release, with ``/`` → size and hash; the manifest itself is not among them.
        digest: sha256 of all of the above.
        signature: HMAC-SHA256 of all of the above, hexadecimal; ``None`` where no key is configured.
    """

    format: int = FORMAT
    kuapin: str
    version: str
    created_at: str
    snapshot: str
    fingerprint: str
    config: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, Metric] = Field(default_factory=dict)
    files: dict[str, FileEntry]
    digest: str = ""
    signature: str | None = None

    def sealed(self, key: bytes | None) -> "Manifest":
        """The same manifest with its digest and, where there is a key, its signature."""
        content = self._content()
        signature = hmac.new(key, content, hashlib.sha256).hexdigest() if key else None
        return self.model_copy(update={"digest": hashlib.sha256(content).hexdigest(), "signature": signature})

    def render(self) -> bytes:
        """The text of ``manifest.json``."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()

    def check_seal(self, folder: Path, key: bytes | None) -> None:
        """Compare digest and, where there is a key, signature.

        Raises:
            ModelFolderError: they do not fit the manifest, or there is a key and no signature.
        """
        content = self._content()
        if self.digest != hashlib.sha256(content).hexdigest():
            raise refuse(folder, f"{MANIFEST} was altered: its digest does not fit")
        if key is None:
            return
        if self.signature is None:
            raise refuse(folder, "it is not signed, but a signing key is configured")
        if not hmac.compare_digest(self.signature, hmac.new(key, content, hashlib.sha256).hexdigest()):
            raise refuse(
                folder, "its signature does not fit the configured key: it was altered, or signed with another"
            )

    def _content(self) -> bytes:
        plain = self.model_dump(mode="json", exclude={"digest", "signature"})
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def refuse(folder: Path, reason: str) -> ModelFolderError:
    """The error for a model folder that is not loaded, with what to do next."""
    return ModelFolderError(
        f"Model folder {folder} is refused: {reason}. Train again, or choose another release: kuapin models SHOP"
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a release; its files are not looked at.

    Raises:
        ModelFolderError: it is missing, torn, of another shape, of a newer format, or names files outside the folder.
    """
    raw = _read_json(folder, MANIFEST)
    written = raw.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise refuse(
            folder, f"its format is {written}, this Kuapin reads up to {FORMAT}: a newer program wrote it, so upgrade"
        )
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise refuse(folder, f"{MANIFEST} {_where(error)}") from error
    for path in manifest.files:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise refuse(folder, f"{MANIFEST} names the file {path!r}, which lies outside")
    return manifest


def read_routing(folder: Path) -> Routing:
    """Which part of the release serves which category.

    Raises:
        ModelFolderError: it is missing, torn, of another shape, or names a part that is not there.
    """
    try:
        routing = Routing.model_validate(_read_json(folder, ROUTING))
    except ValidationError as error:
        raise refuse(folder, f"{ROUTING} {_where(error)}") from error
    check_parts(folder, routing)
    return routing


def check_parts(folder: Path, routing: Routing) -> None:
    """Raise ``ModelFolderError`` unless every part that the routing names lies inside the folder."""
    for part in sorted(routing.parts()):
        outside = PurePosixPath(part).is_absolute() or ".." in PurePosixPath(part).parts
        if outside or not (folder / part).exists():
            raise refuse(folder, f"{ROUTING} names {part!r}, which is not in it")


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise refuse(folder, f"it has no {name}")
    try:
        raw = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise refuse(folder, f"{name} is torn: not JSON ({error})") from error
    if not isinstance(raw, dict):
        raise refuse(folder, f"{name} is not a JSON object")
    return raw


def _where(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"has a wrong entry at {'.'.join(str(step) for step in first['loc'])} ({first['msg']})"
