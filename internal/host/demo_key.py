"""The demo merchant's API key: made once, kept in a file that only this user can read."""

import asyncio
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from internal.auth import store as auth_store
from internal.infra import clock, db
from internal.infra.data_folder import files, private
from internal.kernel import errors, ids
from internal.seeds import demo_shop


class DemoKey(NamedTuple):
    """The key, and where it is."""

    file: Path
    text: str
    """Empty if the demo shop's key is not known here."""
    is_new: bool
    """Made right now: it may be shown this once."""


async def find_or_make(database: db.Database, folder: Path) -> DemoKey:
    """Return the demo shop's key; seed the shop first if it is not there yet.

    Raises:
        Misconfigured: there is a key's file, but no demo shop that the key could be for.
        DatabaseAway: the database cannot be reached.
    """
    file = folder / files.DEMO_KEY
    is_there = await asyncio.to_thread(file.exists)
    made = await database.write(lambda connection: _seed(connection, file, is_there=is_there))
    if made:
        await asyncio.to_thread(private.write_new, file, made)
        return DemoKey(file, made, is_new=True)
    text = await asyncio.to_thread(file.read_text) if is_there else ""
    return DemoKey(file, text.strip(), is_new=False)


def _seed(connection: sa.Connection, file: Path, *, is_there: bool) -> str | None:
    if is_there and auth_store.find_merchant(connection, demo_shop.MERCHANT_ID) is None:
        raise errors.Misconfigured(
            f"{file} holds an API key, but the database has no demo shop: a key is never replaced;"
            " move the file away if it belongs to nothing, or `souk restore` the shop's database"
        )
    return demo_shop.seed(connection, clock.SystemClock().now_us(), ids.random_token)
