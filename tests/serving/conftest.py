import pytest

from tests import served


@pytest.fixture
def shop(tmp_path):
    return served.shop(tmp_path)


@pytest.fixture
def client(shop):
    with served.client(shop) as asking:
        yield asking
