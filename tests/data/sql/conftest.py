import itertools
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from kuapin.data.sql.database import open_database
from tests.databases import postgres

_COUNT = itertools.count()


@pytest.fixture(scope="session")
def server():
    with tempfile.TemporaryDirectory(prefix="kuapin-pg-") as folder, postgres(Path(folder)) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A new, empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite'}"
    server = request.getfixturevalue("server")
    name = f"test{next(_COUNT)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def database(url):
    opened = open_database(url)
    yield opened
    opened.close()
