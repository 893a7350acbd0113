"""Image, composition and unit, as far as they can be checked without an engine: what they name is there, and fits."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from operations import audit
from operations.audit import told
from tests import served
from tests.listening import Process


def instructions(root):
    """(word, rest) of every instruction of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", (root / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def last_stage(root):
    found = instructions(root)
    return found[max(place for place, (word, _) in enumerate(found) if word == "FROM") :]


def test_the_image_runs_as_nobody_in_particular(root):
    words = [word for word, _ in last_stage(root)]
    users = [rest for word, rest in last_stage(root) if word == "USER"]
    assert users == ["10001:10001"]
    assert "RUN" not in words[words.index("USER") :]
    assert words.count("HEALTHCHECK") == words.count("ENTRYPOINT") == words.count("CMD") == 1


def test_the_image_is_built_from_what_is_there(root):
    allowed = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        name
        for word, rest in instructions(root)
        if word == "COPY" and "--from" not in rest
        for name in rest.split()[:-1]
    ]
    assert set(copied) == allowed
    assert [name for name in copied if not (root / name).exists()] == []
    images = [rest.split()[0] for word, rest in instructions(root) if word == "FROM"]
    assert all(re.fullmatch(r"[a-z]+:[\w.]+-slim-\w+", image) for image in images), images
    python = re.search(r"python:(\d\.\d+)", images[0])[1]
    assert python in (root / "Makefile").read_text()
    runs = " ".join(rest for word, rest in instructions(root) if word == "RUN")
    assert "--no-install-recommends" in runs
    assert "rm -rf /var/lib/apt/lists" in runs
    assert "-c /source/constraints.txt" in runs
    project = (root / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in project for extra in ("postgres", "tracing"))


def test_the_health_check_tells_a_service_that_is_ready_from_one_that_is_not(root, tmp_path):
    (check,) = [rest for word, rest in last_stage(root) if word == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    process = Process(served.shop(tmp_path))
    command = [sys.executable, *(part.replace(":8080", f":{process.port}") for part in command[1:])]
    assert subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0
    process.kill()
    assert subprocess.run(command, check=False, capture_output=True, timeout=30).returncode != 0


def test_the_arguments_are_those_of_the_command(root):
    from typer.testing import CliRunner

    from kuapin.cli.app import app

    help_of_serve = CliRunner().invoke(app, ["serve", "--help"]).output
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    (image,) = [json.loads(rest) for word, rest in last_stage(root) if word == "CMD"]
    unit = re.search(r"ExecStart=(.*)", (root / "operations" / "kuapin.service").read_text())[1]
    for command in (image, compose["services"]["kuapin"]["command"], shlex.split(unit)[1:]):
        assert command[0] == "serve"
        assert [part for part in command if part.startswith("--") and part not in help_of_serve] == []


def test_the_composition_fits_together(root):
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"kuapin", "postgres", "prometheus"}
    for name, service in services.items():
        assert service["restart"] == "unless-stopped"
        assert "latest" not in service["image"], name
        assert ":" in service["image"], name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            there = source in compose["volumes"] or source == "./shop" or (root / source).exists()
            assert there, volume
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), port
    waits = services["kuapin"]["depends_on"]
    assert all("healthcheck" in services[name] for name, how in waits.items() if how["condition"] == "service_healthy")
    prometheus = yaml.safe_load((root / "operations" / "prometheus.yml").read_text())
    (scraped,) = prometheus["scrape_configs"]
    assert scraped["static_configs"][0]["targets"] == ["kuapin:8080"]
    assert scraped["job_name"] == "kuapin"
    assert services["kuapin"]["environment"]["KUAPIN_DATABASE"].startswith("postgresql+psycopg://kuapin@postgres/")
    assert not any(
        "password" in str(value).lower() and "${" not in str(value) for value in services["postgres"].values()
    )


@pytest.mark.skipif(
    shutil.which("docker-compose") is None and not os.environ.get("CI"), reason="no docker-compose here"
)
def test_the_composition_is_what_compose_takes(root):
    command = ["docker-compose", "-f", str(root / "compose.yaml"), "config", "-q"]
    told = {**os.environ, "POSTGRES_PASSWORD": "x"}
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    without = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    assert subprocess.run(command, env=without, capture_output=True, check=False, cwd="/").returncode != 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_what_systemd_takes(root, tmp_path):
    unit = (root / "operations" / "kuapin.service").read_text()
    here = tmp_path / "kuapin.service"
    here.write_text(unit.replace("/opt/kuapin/bin/kuapin", shutil.which("true")))
    done = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    here.write_text(unit.replace("/opt/kuapin/bin/kuapin", shutil.which("true")).replace("Restart=always", "Restrt=x"))
    done = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False)
    assert "Restrt" in done.stderr
    here.write_text(unit)
    secure = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(here)]
    assert subprocess.run(secure, capture_output=True, check=False).returncode == 0


@pytest.mark.nightly
def test_the_steps_of_the_image_make_a_service_without_torch(root, tmp_path):
    """The same steps in a virtual environment; needs the package index."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python, source = tmp_path / "venv" / "bin" / "python", tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    shutil.copytree(root / "src", source / "src")
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(source / "constraints.txt")]
    subprocess.run([*install, f"{source}[postgres,tracing]"], check=True, timeout=580)
    packages = subprocess.run([str(python), "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"^(torch|transformers|nvidia)", packages, re.M)
    shop = served.shop(tmp_path / "here")
    process = Process(shop, python=str(python))
    assert process.ask("GET", "/v1/recommendations?user_id=u")["recommendations"]
    assert process.stop() == 0


def test_the_audit_says_what_is_known_and_where_nobody_was_asked():
    silent = {"name": "a", "skip_reason": "not found"}
    well = {"name": "b", "version": "1", "vulns": []}
    flaw = {"id": "PYSEC-1", "fix_versions": ["3"], "aliases": ["CVE-1"], "description": "x"}
    ill = {"name": "c", "version": "2", "vulns": [flaw]}
    assert told({"dependencies": [silent]}, {}) == (
        0,
        ["Audit: not asked. The index has no advisories on any of 1 packages."],
    )
    assert told({"dependencies": [silent, well]}, {}) == (
        0,
        ["Audit: 1 of 2 packages asked about, 0 flaws; not asked: a."],
    )
    code, lines = told({"dependencies": [well, ill]}, {"CVE-2": "of another"})
    assert (code, lines[0]) == (1, "Audit: c 2 has PYSEC-1; mended in 3")
    code, lines = told({"dependencies": [well, ill]}, {"CVE-1": "we never call it"})
    assert (code, lines[0]) == (0, "Audit: c 2 has PYSEC-1; ignored: we never call it")


def test_an_audit_that_is_called_wrongly_is_no_audit_that_could_not_ask(monkeypatch, capsys):
    monkeypatch.setattr(audit, "AUDIT", ("--no-such-option",))
    assert audit.main() == 1
    assert "refuses the call" in capsys.readouterr().out
