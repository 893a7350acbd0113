"""Asking for pages as a browser would."""

import re
from contextlib import contextmanager
from html import unescape

from tests import served

HOST = "http://127.0.0.1"


@contextmanager
def signed_in(shop):
    """A client with a session of a new key, and the key."""
    key = served.key(shop, "admin")
    with served.client(shop, keys=True) as client:
        client.base_url = HOST
        answer = client.post("/console/sign-in", data={"key": key}, follow_redirects=False)
        assert answer.status_code == 303
        yield client, key


@contextmanager
def everybody(shop):
    """A client where nobody needs a key."""
    with served.client(shop) as client:
        client.base_url = HOST
        yield client


def page(client, path, status=200, **options):
    """The text of a page, its marks of HTML turned back into letters."""
    answer = client.get(f"/console{path}", **options)
    assert answer.status_code == status, answer.text
    return unescape(answer.text)


def mark(client):
    """What a form of this session must send back."""
    return re.search(r'name="form" value="([0-9a-f]{64})"', client.get("/console/keys").text)[1]


def send(client, path, **fields):
    """Send a form."""
    return client.post(f"/console{path}", data={"form": mark(client)} | fields, follow_redirects=False)


def words(text):
    """A page without its tags, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
