"""`souk merchants`: makes merchants and their API keys.

A key is shown once; only its hash is kept.
"""

from typing import Annotated

import sqlalchemy as sa
import typer

from internal.auth import rules, store
from internal.auth.messages import IssuedKey, Merchant
from internal.cli import database
from internal.cli.options import Data
from internal.console import lazy_groups, output, suggestions, values
from internal.console.options import AsJson
from internal.infra import clock
from internal.kernel import errors, ids, texts

app = lazy_groups.new()

NAME_CHARS_MAX = 200

Id = Annotated[str, typer.Argument(metavar="MERCHANT", help="The merchant's id.")]


def _id_of(value: str) -> str:
    if not values.ID.fullmatch(value):
        raise typer.BadParameter(f"an id is {values.ID_FORM}")
    return value


def _name_of(value: str) -> str:
    if fault := texts.fault_of_line(value):
        raise typer.BadParameter(fault)
    return value


@app.command()
def create(
    merchant_id: Annotated[
        str, typer.Argument(metavar="MERCHANT", callback=_id_of, help="The merchant's id.")
    ],
    *,
    name: Annotated[
        str,
        typer.Option(metavar="TEXT", callback=_name_of, show_default="the id", help="For people."),
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a merchant and print its API key, only this once."""
    merchant = Merchant(merchant_id, (name or merchant_id)[:NAME_CHARS_MAX])
    key, now_us = new_key(), clock.SystemClock().now_us()
    database.write(data, lambda c: store.add_merchant(c, merchant, key, now_us))
    _show_key(merchant_id, key, as_json=as_json)


@app.command("rotate-key")
def rotate_key(
    merchant_id: Id,
    *,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Keep the old keys valid.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a merchant a new API key and print it, only this once.

    The old keys stop working within half a minute.
    """
    key, now_us = new_key(), clock.SystemClock().now_us()

    def rotate(connection: sa.Connection) -> None:
        require(connection, merchant_id)
        store.rotate_key(connection, merchant_id, key, now_us, keep_old=keep_old)

    database.write(data, rotate)
    _show_key(merchant_id, key, as_json=as_json)


@app.command("list")
def list_merchants(*, data: Data = None, as_json: AsJson = False) -> None:
    """List the merchants."""
    found = database.read(data, store.list_merchants)
    if as_json:
        output.as_json({"merchants": found})
        return
    table = output.table("Merchant", "Name")
    for merchant in found:
        table.add_row(merchant.merchant_id, merchant.name)
    output.terminal().print(table)


def _show_key(merchant_id: str, key: IssuedKey, *, as_json: bool) -> None:
    if as_json:
        output.as_json({"merchant_id": merchant_id, "key_id": key.key_id, "api_key": key.secret})
        return
    output.say(key.secret)
    output.remark(f"The API key of {merchant_id}. Souk keeps only its hash: store it now.")


def new_key() -> IssuedKey:
    """Make a key from fresh randomness."""
    return rules.issue(ids.random_token(6), ids.random_token(32))


def require(connection: sa.Connection, merchant_id: str) -> str:
    """Return the id of a merchant; of the only one when none is named.

    Raises:
        InvalidInput: no merchant has that name, or there are several and none was named.
    """
    known = [merchant.merchant_id for merchant in store.list_merchants(connection)]
    if merchant_id in known:
        return merchant_id
    if merchant_id:
        raise errors.InvalidInput([("", suggestions.unknown("merchant", merchant_id, known))])
    if not known:
        raise errors.InvalidInput(
            [("", "there is no merchant yet: `souk merchants create` makes one")]
        )
    if len(known) > 1:
        raise errors.InvalidInput([("", f"name one with --merchant: {suggestions.some(known)}")])
    return known[0]
