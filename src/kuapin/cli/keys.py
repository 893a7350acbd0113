"""``kuapin keys``: who may ask the service."""

import datetime as dt
import time
from typing import TYPE_CHECKING, Annotated

import typer

from kuapin.cli.output import AsJson, ShopFolder, open_shop, remark, say, say_json, say_table
from kuapin.errors import InputError

if TYPE_CHECKING:
    from kuapin.data.sql.keys import Key

DAY = 86_400


def keys(
    folder: ShopFolder,
    *,
    create: Annotated[
        str | None, typer.Option("--create", metavar="NAME", help="Make a key and print it, once.", show_default=False)
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="recommend, write or admin; repeat for several.", show_default="recommend"),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36_500, help="It ends after so many days.", show_default="never")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.01, help="Requests a second; else the service's.", show_default=False),
    ] = None,
    rotate: Annotated[
        str | None, typer.Option("--rotate", metavar="ID", help="A new key for an old one.", show_default=False)
    ] = None,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, max=90 * DAY, help="Seconds that the old one still works.")
    ] = DAY,
    revoke: Annotated[
        str | None, typer.Option("--revoke", metavar="ID", help="End a key at once.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the service's keys; make, exchange or end one. What is stored of a key does not open anything."""
    if sum(one is not None for one in (create, rotate, revoke)) > 1:
        raise InputError("--create, --rotate and --revoke are three different things. Give one of them.")
    from kuapin.service_settings import SCOPES

    wrong = [one for one in scope or () if one not in SCOPES]
    if wrong:
        raise InputError(f"There is no scope {wrong[0]!r}; there are {', '.join(SCOPES)}.")
    shop = open_shop(folder)
    from kuapin.data.sql.database import open_database
    from kuapin.data.sql.keys import Keyring

    ring = Keyring(open_database(shop.service_database()))
    if revoke is not None:
        ring.revoke(revoke)
        say(f"{revoke} opens nothing any more.")
    elif create is not None or rotate is not None:
        ends = None if days is None else int(time.time()) + days * DAY
        key, text = (
            ring.rotate(rotate, overlap)
            if rotate is not None
            else ring.create(create or "", scope or ["recommend"], rate=rate, expires_at=ends)
        )
        if as_json:
            say_json(vars(key) | {"key": text})
        else:
            say(text)
            remark(
                f"The key {key.key_id} ({', '.join(key.scopes)}). Keep it now: it cannot be shown again.", quiet=False
            )
    elif as_json:
        say_json([vars(key) for key in ring.all()])
    else:
        _show(ring.all())


def _show(keys: "list[Key]") -> None:
    now = time.time()
    said = [
        (key.key_id, key.name, " ".join(key.scopes), _day(key.created_at), _day(key.expires_at), _state(key, now))
        for key in keys
    ]
    heads = ("id", "name", "scopes", "made", "ends", "state")
    say_table({head: [row[place] for row in said] for place, head in enumerate(heads)}, cut=("name",))


def _state(key: "Key", now: float) -> str:
    if not key.in_force(now):
        return "ended"
    return "in force" if key.revoked_at is None else f"ends {_day(key.revoked_at)}"


def _day(when: int | None) -> str:
    return "" if when is None else f"{dt.datetime.fromtimestamp(when, dt.UTC):%Y-%m-%d}"
