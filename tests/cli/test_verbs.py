"""The verbs on real, tiny shops, run as a person runs them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import typer
from rich.text import Text

from kuapin.cli.app import VERBS, app
from kuapin.cli.failures import run
from kuapin.manifest import Routing
from kuapin.model_folder import Releases
from kuapin.workspace import Shop


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    monkeypatch.delenv("KUAPIN_SIGNING_KEY", raising=False)
    monkeypatch.delenv("KUAPIN_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")


class Result:
    """Exit code, standard output and standard error of one command line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def kuapin(capfd):
    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = run(app, [str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def shop(tmp_path, tables) -> Path:
    folder = tmp_path / "shop"
    Shop.init(folder).import_files(items=tables / "items.csv", interactions=tables / "interactions.csv")
    return folder


def release(shop: Path, ndcg: float) -> str:
    releases = Releases(Shop.open(shop).models)
    with releases.begin() as draft:
        (draft.path / "statistics.json").write_text("{}")
        manifest = releases.publish(
            draft, routing=Routing(), snapshot="s", fingerprint="f", config={}, metrics={"ndcg@10": ndcg, "none": None}
        )
    return manifest.version


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_help_lists_every_verb_in_its_group(kuapin):
    result = kuapin("--help")
    assert result.code == 0
    assert kuapin().out == result.out
    lines = result.out.splitlines()
    for panel, verbs in VERBS.items():
        assert any(panel in line and "─" in line for line in lines), panel
        for verb in verbs:
            assert any(line.startswith(f"│ {verb} ") for line in lines), verb


def test_no_help_holds_what_is_taken_for_markup():
    """Rich would leave out a word in brackets."""
    commands = typer.main.get_command(app).commands
    assert set(commands) == {name for verbs in VERBS.values() for name in verbs}
    texts = [text for one in commands.values() for text in (one.help, *(p.help for p in one.params if p.help))]
    assert len(texts) > 4 * len(commands)
    assert [text for text in texts if Text.from_markup(text).plain != text] == []


def test_help_answers_at_once():
    """0.5 s on a quiet machine: measured in processor time, so that a busy one does not fail it."""
    program = (
        "import sys, time; from kuapin.cli.app import app; from kuapin.cli.failures import run; run(app, ['--help']);"
        "heavy = [m for m in ('polars', 'numpy', 'scipy', 'lightgbm', 'pydantic') if m in sys.modules];"
        "print(time.process_time(), *heavy, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, *heavy = result.stderr.split()
    assert heavy == []
    assert float(seconds) < 0.5


def test_version(kuapin):
    assert kuapin("--version").out.startswith("kuapin ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "kuapin: No such command 'fly'. See: kuapin --help"),
        (["init"], "kuapin init: Missing argument 'SHOP'. See: kuapin init --help"),
        (["train", "s", "--quik"], "kuapin train: No such option: --quik"),
        (["recommend", "s", "--user", "u", "-n", "0"], "kuapin recommend: Invalid value for '-n'"),
        (["recommend", "s"], "kuapin recommend needs either --user ID or --users FILE"),
        (["recommend", "s", "--user", "u", "--users", "f"], "kuapin recommend needs either"),
        (["recommend", "s", "--users", "f"], "kuapin recommend --users FILE needs --output FILE.parquet"),
        (["recommend", "s", "--user", "u", "--output", "x.xlsx"], "x.xlsx: the output must end in one of .parquet"),
        (["import", "s"], "kuapin import needs at least one file"),
        (["import", "s", "--items", "f", "--format", "excel"], "kuapin import: Invalid value for '--format'"),
        (["evaluate", "s", "--protocol", "launch", "--seeds", "0"], "kuapin evaluate: Invalid value for '--seeds'"),
        (["evaluate", "s", "--category", "Beauty"], "--category belongs to --protocol launch"),
        (["evaluate", "s", "--protocol", "launch", "--category", "B", "--shots", "0,2"], "--shots is '0,2'; shares"),
        (["evaluate", "s", "--protocol", "launch", "--category", "B", "--shots", "a"], "--shots is 'a'; give shares"),
        (["models", "nowhere"], "nowhere is not a workspace. Make one with: kuapin init nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(kuapin, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = kuapin(*arguments)
    assert result.code == 2
    assert result.err.startswith(message)
    assert result.err.count("\n") == 1
    assert result.out == ""
    assert list(tmp_path.iterdir()) == []


def test_init_makes_a_shop_once(kuapin, tmp_path):
    folder = tmp_path / "shop"
    made = kuapin("init", folder)
    assert made.code == 0
    assert "kuapin import" in made.err
    assert Shop.open(folder).config.seed == 0
    before = content(folder)
    again = kuapin("init", folder)
    assert again.code == 2
    assert "is a workspace already" in again.err
    assert content(folder) == before
    assert kuapin("init", tmp_path / "other", "--quiet").err == ""


def test_import_counts_and_repeats_change_nothing(kuapin, tmp_path, tables):
    shop = tmp_path / "shop"
    kuapin("init", shop)
    arguments = ("import", shop, "--items", tables / "items.csv", "--interactions", tables / "interactions.csv")
    first = kuapin(*arguments)
    assert first.code == 0
    assert "items: 4 added, 0 replaced, 0 unchanged" in first.out
    assert "interactions: 5 added" in first.out
    before = content(shop)
    second = kuapin(*arguments)
    assert "items.csv: imported before, nothing to do" in second.out
    assert content(shop) == before


def test_import_as_json_is_json_alone(kuapin, tmp_path, tables):
    shop = tmp_path / "shop"
    kuapin("init", shop)
    with (tables / "interactions.csv").open("a") as file:
        file.write("u9,nothing,1700000001,purchase\n")
    arguments = ("import", shop, "--items", tables / "items.csv", "--interactions", tables / "interactions.csv")
    result = kuapin(*arguments, "--json")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert report["changes"]["items"] == {"added": 4, "replaced": 0, "unchanged": 0}
    assert report["changes"]["interactions"]["added"] == 5
    assert report["left_out"] == 1
    (fault,) = [fault for fault in report["faults"] if fault["action"] == "left out"]
    assert (fault["table"], fault["column"], fault["rows"]) == ("interactions", "item_id", [6])
    text = kuapin("validate", shop)
    assert text.code == 0
    assert "left out: interactions.csv row 6: item_id is 'nothing'" in text.out
    assert text.out.endswith("1 fault, 0 of them to be mended before use; 1 row left out.\n")
    checked = json.loads(kuapin("validate", shop, "--json").out)
    assert (checked["valid"], checked["left_out"], checked["rows"]) == (True, 1, {"items": 4, "interactions": 5})


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("items", "title\nSoap\n", "items.csv: "),
        ("items", "item_id,price\na,1\nb,-3\n", "items.csv row 2: price is"),
        ("items", "item_id\n", "items.csv is an empty table"),
        ("items", "item_id,title\na,b,c,d\n", "items.csv row 1"),
        ("interactions", "user_id,item_id,timestamp\nu,b1,yesterday\n", "interactions.csv row 1: timestamp is"),
    ],
)
def test_a_bad_file_is_exit_2_with_its_place_and_the_shop_is_as_before(kuapin, shop, tmp_path, table, text, message):
    path = tmp_path / f"{table}.csv"
    path.write_text(text)
    before = content(shop)
    result = kuapin("import", shop, f"--{table}", path, "--quiet")
    assert result.code == 2, result.err
    assert message in result.err
    assert result.err.count("\n") == 1
    assert content(shop) == before


def test_validate_names_a_wrong_setting(kuapin, shop):
    (shop / "kuapin.toml").write_text("[releases]\nkepe = 3\n")
    result = kuapin("validate", shop)
    assert result.code == 2
    assert "there is no setting releases.kepe. Did you mean releases.keep?" in result.err


def test_validate_finds_nothing_wrong(kuapin, shop):
    result = kuapin("validate", shop)
    assert result.code == 0
    assert result.out.splitlines()[:2] == ["items: 4 rows", "interactions: 5 rows"]


def test_models_publish_and_rollback(kuapin, shop):
    empty = kuapin("models", shop)
    assert (empty.code, empty.out) == (0, "")
    assert "has no model yet" in empty.err
    assert kuapin("rollback", shop).code == 1
    assert kuapin("publish", shop).err == f"{shop} has no model yet. Run: kuapin train {shop}\n"

    a, b = release(shop, 0.25), release(shop, 0.5)
    lines = kuapin("models", shop).out.splitlines()
    assert lines[0].split() == ["version", "size", "NDCG@10", "best", "simple"]
    assert a in lines[1]
    assert "live" not in lines[1]
    assert lines[2].split()[:2] == [b, "live"]
    assert lines[2].split()[-2:] == ["0.5000", "–"]

    assert kuapin("rollback", shop).out == f"{a} is live.\n"
    listed = json.loads(kuapin("models", shop, "--json").out)
    assert listed["live"] == a
    assert [entry["version"] for entry in listed["releases"]] == [a, b]
    assert listed["releases"][1]["metrics"] == {"ndcg@10": 0.5, "none": None}
    assert kuapin("publish", shop).out == f"{b} is live.\n"
    assert kuapin("publish", shop, a).out == f"{a} is live.\n"
    assert kuapin("publish", shop, "nope").code == 2

    (shop / "models" / b / "statistics.json").write_text("[]")
    refused = kuapin("publish", shop, b)
    assert refused.code == 1
    assert f"{b} is refused: statistics.json was altered" in refused.err
    (shop / "models" / b / "manifest.json").write_text("")
    damaged = kuapin("models", shop)
    assert "damaged" in damaged.out
    assert "manifest.json is torn" in damaged.err
    assert json.loads(kuapin("models", shop, "--json").out)["live"] == a


def test_recommend_without_a_model_says_how_to_get_one(kuapin, shop):
    result = kuapin("recommend", shop, "--user", "u1")
    assert result.code == 1
    assert result.err == f"{shop} has no model yet. Run: kuapin train {shop}\n"


def process(*arguments: object, **options: object) -> subprocess.Popen:
    program = "from kuapin.cli.entry import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_ctrl_c_in_a_real_process_is_one_line_and_130(shop, tmp_path):
    fifo = tmp_path / "users.txt"
    os.mkfifo(fifo)
    running = process(
        "recommend",
        *(shop, "--users", fifo, "--output", tmp_path / "out.parquet"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job's children ignore it
    )
    with fifo.open("w") as ids:  # opens once the command reads; it then waits for more ids
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        ids.write("u1\n")  # Polars' signal handler lets a blocked read go on, so something must come
        ids.flush()
        out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert err == "Interrupted. What was there before is unchanged; run the same command again.\n"
    assert out == ""
    assert not (tmp_path / "out.parquet").exists()


def test_ctrl_c_while_python_still_imports_is_the_same():
    program = """
import sys, time

class Slow:
    def find_spec(name, *_):
        if name == "kuapin.cli.output":
            print("importing", flush=True)
            time.sleep(20)

sys.meta_path.insert(0, Slow)
from kuapin.cli.entry import main
main()
"""
    running = subprocess.Popen(
        [sys.executable, "-c", program, "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stdout.readline() == "importing\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=10)
    assert running.returncode == 130
    assert err == "Interrupted. What was there before is unchanged; run the same command again.\n"
    assert out == ""


def test_the_command_starts_at_an_entry_that_imports_next_to_nothing(root):
    script = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]["kuapin"]
    module, name = script.split(":")
    heavy = ("typer", "typing", "importlib.metadata", "numpy")
    program = f"import sys; from {module} import {name}; print([name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-S", "-c", program]  # without site-packages, which import some of it on their own
    result = subprocess.run(command, cwd=root / "src", capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_a_reader_that_leaves_and_a_full_disk(shop):
    release(shop, 0.5)
    running = process("models", shop, "--json")
    running.stdout.close()
    assert running.wait(timeout=20) == 1
    assert running.stderr.read() == ""
    if Path("/dev/full").exists():
        program = "from kuapin.cli.app import main; main()"
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(
                [sys.executable, "-c", program, "models", str(shop), "--json"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert result.returncode == 1
        assert result.stderr == (
            "the disk is full. Free some space, then run the same command again. What was there before is unchanged.\n"
        )


def test_a_port_that_is_taken_is_told_in_one_line_before_anything_is_said_to_listen(kuapin, shop):
    kuapin("publish", shop, release(shop, 0.25))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = kuapin("serve", shop, "--port", str(port))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"127.0.0.1:{port} cannot be listened on (")
    assert result.err.count("\n") == 1
