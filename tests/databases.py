"""Real databases for tests: a SQLite file, and a PostgreSQL server that the tests start and stop."""

import os
import shutil
import socket
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest


def postgres_binaries() -> Path | None:
    """Where Debian keeps the server's programs, or where the path finds them."""
    found = shutil.which("pg_ctl")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return Path(found).parent if found else places[-1] if places else None


class Postgres:
    """A server on an empty cluster below a folder, to be stopped and started; ``url`` is that of its database."""

    def __init__(self, folder: Path) -> None:
        binaries = postgres_binaries()
        if binaries is None:
            pytest.skip("no PostgreSQL here: apt-get install postgresql")
        folder.mkdir(exist_ok=True)
        self.folder, self.as_user = folder, []
        if os.geteuid() == 0:  # initdb refuses root
            self.as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
            for parent in folder.parents:
                if parent.stat().st_mode & 0o001 == 0 and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://app@127.0.0.1:{self.port}/postgres"
        cluster = str(folder / "cluster")
        self._call(
            str(binaries / "initdb"), "-D", cluster, "-A", "trust", "-U", "app", "-E", "UTF8", "--locale=C.UTF-8"
        )
        self._control = [str(binaries / "pg_ctl"), "-D", cluster, "-w"]

    def start(self) -> None:
        """On the same port as before."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder}"
        self._call(*self._control, "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """At once, as a crash does: what was committed is in its log."""
        self._call(*self._control, "-m", "immediate", "stop")

    def _call(self, *command: str) -> None:
        subprocess.run([*self.as_user, *command], check=True, capture_output=True, cwd=self.folder, timeout=60)


@contextmanager
def postgres_server(folder: Path):
    """A running server."""
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):  # a test has stopped it
            server.stop()


@contextmanager
def postgres(folder: Path):
    """A server with an empty cluster below a folder; gives the URL of its database."""
    with postgres_server(folder) as server:
        yield server.url


def small_disk(stack: ExitStack, folder: Path, megabytes: int) -> Path:
    """A disk of its own, so small, in memory, at a folder; the test is skipped where mounting is forbidden."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is forbidden here")
    stack.callback(lambda: subprocess.run(["umount", "-l", str(folder)], check=False))
    return folder
