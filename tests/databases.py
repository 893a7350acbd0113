"""Real databases for tests: a SQLite file, and a PostgreSQL server that the tests start and stop."""

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest


def postgres_binaries() -> Path | None:
    """Where Debian keeps the server's programs, or where the path finds them."""
    found = shutil.which("pg_ctl")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return Path(found).parent if found else places[-1] if places else None


@contextmanager
def postgres(folder: Path):
    """A server with an empty cluster below a folder; gives the URL of its database."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    as_user = []
    if os.geteuid() == 0:  # initdb refuses root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
        for parent in folder.parents:
            if parent.stat().st_mode & 0o001 == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = folder / "cluster"

    def call(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, capture_output=True, cwd=folder, timeout=60)

    call(str(binaries / "initdb"), "-D", str(cluster), "-A", "trust", "-U", "app", "-E", "UTF8", "--locale=C.UTF-8")
    control = [str(binaries / "pg_ctl"), "-D", str(cluster), "-w"]
    call(*control, "-l", str(folder / "log"), "-o", f"-c listen_addresses=127.0.0.1 -p {port} -k {folder}", "start")
    try:
        yield f"postgresql+psycopg://app@127.0.0.1:{port}/postgres"
    finally:
        call(*control, "-m", "immediate", "stop")
