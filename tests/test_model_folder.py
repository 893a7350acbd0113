import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from kuapin.arrays import load_arrays, save_arrays
from kuapin.errors import InputError, ModelFolderError, StoreError, UnknownIdError
from kuapin.manifest import Route, Routing
from kuapin.model_folder import Releases, ReleasesConfig

ROUTING = Routing(
    default=Route(encoder="encoder", ranker="ranker/all"), categories={"Beauty": Route(encoder="encoder")}
)


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("KUAPIN_SIGNING_KEY", raising=False)


@pytest.fixture
def releases(tmp_path) -> Releases:
    return Releases(tmp_path / "models")


def publish(releases: Releases, *, routing: Routing = ROUTING, activate: bool = True, value: float = 0.5) -> str:
    with releases.begin() as draft:
        save_arrays(draft.path / "encoder" / "vectors.safetensors", {"v": np.full((3, 2), value, np.float32)})
        (draft.path / "ranker" / "all").mkdir(parents=True)
        (draft.path / "ranker" / "all" / "trees.txt").write_text("tree\n")
        manifest = releases.publish(
            draft,
            routing=routing,
            snapshot="s1",
            fingerprint="f1",
            config={"seed": 0},
            metrics={"ndcg": value, "undefined": float("nan")},
            activate=activate,
        )
    return manifest.version


def leftovers(releases: Releases) -> list[str]:
    return [path.name for path in (releases.folder / ".tmp").iterdir()]


def test_a_published_release_is_live_whole_and_described(releases):
    version = publish(releases)
    assert releases.live() == version
    folder = releases.open_live()
    assert load_arrays(folder / "encoder/vectors.safetensors")["v"].tolist() == [[0.5, 0.5]] * 3
    manifest = releases.verify(folder)
    assert sorted(manifest.files) == ["encoder/vectors.safetensors", "ranker/all/trees.txt", "routing.json"]
    assert manifest.files["ranker/all/trees.txt"].bytes == 5
    assert manifest.metrics == {"ndcg": 0.5, "undefined": None}
    assert (manifest.snapshot, manifest.fingerprint, manifest.config) == ("s1", "f1", {"seed": 0})
    (listed,) = releases.versions()
    assert (listed.version, listed.live, listed.fault) == (version, True, None)
    assert listed.bytes == sum(entry.bytes for entry in manifest.files.values())
    assert leftovers(releases) == []


def test_a_category_without_a_route_has_the_default():
    assert ROUTING.of("Beauty") == Route(encoder="encoder")
    assert ROUTING.of("Home").ranker == "ranker/all"


def test_rollback_goes_back_step_by_step_and_keeps_the_log(releases):
    a, b, c = (publish(releases, value=value) for value in (1, 2, 3))
    assert [releases.live(), releases.rollback(), releases.rollback()] == [c, b, a]
    with pytest.raises(ModelFolderError, match="no earlier release"):
        releases.rollback()
    releases.activate(c)
    assert [releases.live(), releases.rollback()] == [c, a]
    assert [(change.action, change.version) for change in releases.log()] == [
        ("publish", a),
        ("publish", b),
        ("publish", c),
        ("rollback", b),
        ("rollback", a),
        ("activate", c),
        ("rollback", a),
    ]


def test_activating_the_live_release_changes_nothing(releases):
    a = publish(releases)
    releases.activate(a)
    with pytest.raises(ModelFolderError, match="no earlier release"):
        releases.rollback()


def test_a_release_can_be_published_without_going_live(releases):
    a = publish(releases)
    b = publish(releases, activate=False)
    assert releases.live() == a
    assert [release.version for release in releases.versions()] == [a, b]


def test_what_rests_on_a_release_that_was_taken_back_does_not_go_live(releases):
    a, b = publish(releases, value=1), publish(releases, value=2)
    rests_on_b = publish(releases, value=3, activate=False)
    releases.rollback()
    with pytest.raises(
        StoreError, match=f"Another release went live meanwhile: {rests_on_b}, which rests on {b}, does not"
    ):
        releases.activate(rests_on_b, after=b)
    assert releases.live() == a
    releases.activate(b)
    releases.activate(rests_on_b, after=b)
    assert releases.live() == rests_on_b


def test_unknown_release(releases):
    publish(releases)
    with pytest.raises(UnknownIdError, match="There is no release 'x'"):
        releases.activate("x")
    with pytest.raises(UnknownIdError, match="There is no release"):
        releases.activate("../../etc")


def test_no_model_yet(releases):
    assert releases.live() is None
    assert releases.versions() == []
    with pytest.raises(ModelFolderError, match=r"has no model yet\. Run: kuapin train"):
        releases.open_live()


def test_only_the_newest_are_kept_and_the_live_and_previous_one(tmp_path):
    releases = Releases(tmp_path / "models", ReleasesConfig(keep=2))
    a = publish(releases)
    (releases.folder / "notes").mkdir()  # somebody's own folder
    b, c, d = (publish(releases) for _ in range(3))
    kept = {path.name for path in releases.folder.iterdir() if path.is_dir()}
    assert kept == {"notes", ".tmp", c, d}
    assert leftovers(releases) == []
    publish(releases, activate=False)
    e = publish(releases, activate=False)
    assert releases.live() == d
    assert releases.rollback() == c, "what rollback needs is kept, however old"
    assert {a, b}.isdisjoint(release.version for release in releases.versions())
    assert e in {release.version for release in releases.versions()}


def test_an_abandoned_draft_is_deleted(releases):
    def interrupted():
        with releases.begin() as draft:
            (draft.path / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert leftovers(releases) == []


def test_drafts_of_killed_processes_are_deleted_after_a_day(releases):
    stale, fresh = (releases.folder / ".tmp" / name for name in ("20200101-000000", "20990101-000000"))
    for path in (stale, fresh):
        path.mkdir(parents=True)
    os.utime(stale, (0, 0))
    with releases.begin():
        assert not stale.exists()
        assert fresh.exists()


def test_two_drafts_begun_at_once_have_two_names(releases):
    with releases.begin() as one, releases.begin() as two:
        assert one.version != two.version


def test_a_routing_that_names_a_missing_part_is_refused(releases):
    old = publish(releases)
    for part in ("ranker/beauty", "../other", "/etc"):
        with pytest.raises(ModelFolderError, match=r"routing.json names .* which is not in it"):
            publish(releases, routing=Routing(default=Route(ranker=part)))
    assert [release.version for release in releases.versions()] == [old]


def test_a_draft_with_a_link_is_refused(releases):
    with releases.begin() as draft:
        (draft.path / "trees").symlink_to("/etc/hosts")
        with pytest.raises(ModelFolderError, match="trees is a symbolic link"):
            releases.publish(draft, routing=Routing(), snapshot="", fingerprint="", config={}, metrics={})


# What can happen to a release on disk, and what is said about it.
def _rewrite_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _append(folder: Path) -> None:
    with (folder / "ranker/all/trees.txt").open("a") as file:
        file.write("more")


def _link_a_file(folder: Path) -> None:
    path = folder / "ranker/all/trees.txt"
    outside = folder.parent.parent / "outside.txt"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


def _link_a_folder(folder: Path) -> None:
    outside = folder.parent.parent / "outside"
    (folder / "ranker").rename(outside)
    (folder / "ranker").symlink_to(outside)


def _name_a_file_outside(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    _rewrite_manifest(folder, files={**files, "../../secret": {"sha256": "0", "bytes": 1}})


DAMAGE = {
    "missing file": (lambda f: (f / "ranker/all/trees.txt").unlink(), r"trees.txt is missing"),
    "truncated file": (
        lambda f: os.truncate(f / "encoder/vectors.safetensors", 10),
        r"vectors.safetensors has 10 bytes instead of \d+",
    ),
    "longer file": (_append, r"trees.txt has 9 bytes instead of 5"),
    "altered file": (lambda f: (f / "ranker/all/trees.txt").write_text("TREE\n"), r"trees.txt was altered"),
    "altered routing": (
        lambda f: (f / "routing.json").write_text((f / "routing.json").read_text().replace("Beauty", "Beautz")),
        r"routing.json was altered",
    ),
    "foreign file": (lambda f: (f / "ranker/extra.txt").write_text("x"), r"ranker/extra.txt does not belong to it"),
    "linked file": (_link_a_file, r"ranker/all/trees.txt is a symbolic link"),
    "linked folder": (_link_a_folder, r"ranker is a symbolic link"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), r"it has no manifest.json"),
    "torn manifest": (lambda f: os.truncate(f / "manifest.json", 100), r"manifest.json is torn"),
    "empty manifest": (lambda f: os.truncate(f / "manifest.json", 0), r"manifest.json is torn"),
    "manifest of zeros": (lambda f: (f / "manifest.json").write_bytes(b"\0" * 500), r"manifest.json is torn"),
    "manifest of binary": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe" * 9), r"manifest.json is torn"),
    "manifest a list": (lambda f: (f / "manifest.json").write_text("[]"), r"manifest.json is not a JSON object"),
    "altered manifest": (lambda f: _rewrite_manifest(f, metrics={"ndcg": 0.9}), r"manifest.json was altered"),
    "newer format": (lambda f: _rewrite_manifest(f, format=99), r"its format is 99, .* upgrade"),
    "unknown entry": (lambda f: _rewrite_manifest(f, code="os.system()"), r"manifest.json has a wrong entry at code"),
    "outside file": (_name_a_file_outside, r"names the file '../../secret', which lies outside"),
    "manifest a link": (
        lambda f: ((f / "manifest.json").rename(f.parent / "m"), (f / "manifest.json").symlink_to(f.parent / "m")),
        r"it has no manifest.json",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_release_is_refused_by_name_and_what_is_live_stays(releases, kind):
    damage, message = DAMAGE[kind]
    victim = publish(releases)
    live = publish(releases)
    damage(releases.folder / victim)
    with pytest.raises(ModelFolderError, match=message) as error:
        releases.verify(releases.folder / victim)
    assert victim in str(error.value)
    with pytest.raises(ModelFolderError, match=message):
        releases.activate(victim)
    with pytest.raises(ModelFolderError, match=message):
        releases.rollback()
    assert releases.live() == live
    assert releases.open_live().name == live
    assert victim in {release.version for release in releases.versions()}, "a damaged release is still listed"


def test_a_damaged_live_release_is_not_opened(releases):
    live = publish(releases)
    (releases.folder / live / "ranker/all/trees.txt").unlink()
    with pytest.raises(ModelFolderError, match=r"trees.txt is missing.*kuapin models"):
        releases.open_live()


def test_a_renamed_or_linked_release_is_refused(releases):
    version = publish(releases)
    (releases.folder / version).rename(releases.folder / "other")
    with pytest.raises(ModelFolderError, match=f"it is release {version} under another name"):
        releases.verify(releases.folder / "other")
    (releases.folder / version).symlink_to(releases.folder / "other")
    with pytest.raises(ModelFolderError, match="it is not a folder"):
        releases.verify(releases.folder / version)


def test_finders_file_is_no_fault(releases):
    version = publish(releases)
    (releases.folder / version / ".DS_Store").write_bytes(b"\0")
    releases.verify(releases.folder / version)


def test_a_damaged_current_is_named(releases):
    version = publish(releases)
    (releases.folder / "current").write_text("{")
    with pytest.raises(ModelFolderError, match=r"current is damaged\. Delete it"):
        releases.live()
    (releases.folder / "current").unlink()
    releases.activate(version)
    assert releases.live() == version


def test_hashes_do_not_detect_a_forger_but_a_signature_does(releases, monkeypatch):
    monkeypatch.setenv("KUAPIN_SIGNING_KEY", "secret")
    version = publish(releases)
    folder = releases.folder / version
    releases.verify(folder)

    manifest = releases.verify(folder).model_copy(update={"metrics": {"ndcg": 1.0}})
    (folder / "manifest.json").write_bytes(manifest.sealed(None).render())
    with pytest.raises(ModelFolderError, match="it is not signed"):
        releases.verify(folder)
    (folder / "manifest.json").write_bytes(manifest.sealed(b"guess").render())
    with pytest.raises(ModelFolderError, match="its signature does not fit"):
        releases.verify(folder)
    monkeypatch.delenv("KUAPIN_SIGNING_KEY")
    releases.verify(folder)  # without a key only damage is detected


def test_the_key_can_lie_in_a_file(tmp_path):
    releases = Releases(tmp_path / "models", ReleasesConfig(signing_key_file=Path("key")))
    with pytest.raises(InputError, match=r"signing_key_file .*key cannot be read"):
        publish(releases)
    (tmp_path / "key").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        publish(releases)
    assert releases.versions() == []
    (tmp_path / "key").write_text("secret\n")
    publish(releases)
    (tmp_path / "key").write_text("other\n")
    with pytest.raises(ModelFolderError, match="its signature does not fit"):
        releases.open_live()


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_a_whole_live_release(releases, monkeypatch, failure):
    """The k-th write to the disk fails, for every k until publishing succeeds."""
    first = publish(releases)
    calls = 0

    def failing(real):
        def wrapped(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == k:
                raise failure
            return real(*arguments, **named)

        return wrapped

    outcomes = []
    for k in range(1, 100):
        calls = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(os.fsync))
            for name in ("rename", "replace", "write_text", "mkdir"):
                patch.setattr(Path, name, failing(getattr(Path, name)))
            try:
                published = publish(releases)
            except type(failure):
                published = None
        assert leftovers(releases) == []
        live = releases.open_live().name
        listed = [release.version for release in releases.versions()]
        outcomes.append(live == first)
        assert first in listed
        assert live in listed
        if published is not None:
            break
        assert listed in ([first], [first, live]), "no release is left that never went live"
        if live != first:
            assert releases.rollback() == first
            for version in set(listed) - {first}:
                (releases.folder / version).rename(releases.folder.parent / f"{version}-{k}")
    assert live == published
    assert outcomes.count(True) >= 10, "the failures reached the steps before the switch"


def test_arrays_come_back_exactly_and_damage_is_named(tmp_path):
    path = tmp_path / "deep" / "a.safetensors"
    arrays = {
        "strided": np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2],
        "scalar": np.array(3.5),
        "empty": np.empty((0, 4), np.float32),
        "flags": np.array([True, False]),
        "bytes": np.arange(3, dtype=np.uint8),
    }
    save_arrays(path, arrays)
    loaded = load_arrays(path)
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ModelFolderError, match="not a whole safetensors file"):
        load_arrays(path)
    path.unlink()
    with pytest.raises(ModelFolderError, match="the file is missing"):
        load_arrays(path)
