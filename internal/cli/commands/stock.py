"""`souk stock`: the stock of the stores. Every change leaves a movement."""

import re
from collections.abc import Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
import typer

from internal.catalogue import store as catalogue
from internal.cli import database
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output, suggestions
from internal.console.options import AsJson
from internal.infra import clock
from internal.inventory import store
from internal.inventory.messages import Movement, MovementKind, StockKey, StockLevel
from internal.kernel import errors, ids
from internal.requests import rules as request_rules
from internal.requests import store as requests
from internal.requests.messages import Request, RequestState, SubjectKind

app = lazy_groups.new()

SKUS_MAX = 1_000_000
_ARRIVAL = re.compile(r"(?P<sku>.+)=(?P<quantity>[0-9]{1,9})")
"""The last `=` counts: a SKU may have some, too."""

Levels = list[tuple[StockKey, StockLevel]]
Row = dict[str, str | int]
RECEIVE = "ReceiveStock"
"""The method under which arrivals are recorded."""


@app.command("show")
def show_levels(
    *,
    merchant: MerchantId = "",
    store_id: Annotated[
        str, typer.Option("--store", metavar="ID", help="Only of this store.")
    ] = "",
    sku: Annotated[str, typer.Option(metavar="SKU", help="Only of this product.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show stock on hand, reserved for orders, and available."""

    def find(connection: sa.Connection) -> Levels:
        merchant_id = merchants.require(connection, merchant)
        _require_store(connection, merchant_id, store_id)
        _require_products(connection, merchant_id, [sku])
        return store.list_levels(connection, merchant_id, store_id, sku)

    _show([_row(*each) for each in database.read(data, find)], as_json=as_json)


@app.command()
def receive(
    arrivals: Annotated[
        list[str],
        typer.Argument(metavar="SKU=QUANTITY", help="A product that arrived, and how many."),
    ],
    *,
    store_id: Annotated[str, typer.Option("--store", metavar="ID", help="Where it arrived.")],
    request_id: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="Your own id for this arrival, such as the delivery note's: it is added once, "
            "however often you run the command within 30 days.",
        ),
    ] = "",
    merchant: MerchantId = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add arrived goods to a store's stock. Without --request-id, each run adds them again."""
    quantities = [_arrival(text) for text in arrivals]
    if request_id and not ids.ID.fullmatch(request_id):
        raise typer.BadParameter(f"{request_id!r} is not an id", param_hint="--request-id")
    now_us = clock.SystemClock().now_us()

    def book(connection: sa.Connection) -> tuple[str, bool]:
        merchant_id = merchants.require(connection, merchant)
        if not request_id:
            return add(connection, merchant_id), False
        asked = Request(
            merchant_id=merchant_id,
            method=RECEIVE,
            request_id=request_id,
            body_hash=request_rules.hash_of(store_id, sorted(quantities)),
            subject_kind=SubjectKind.STORE,
            subject=store_id,
            state=RequestState.DONE,
            at_us=now_us,
        )
        return requests.once(connection, asked, lambda: add(connection, merchant_id))

    def add(connection: sa.Connection, merchant_id: str) -> str:
        _require_store(connection, merchant_id, store_id)
        _require_products(connection, merchant_id, [sku for sku, _ in quantities])
        movements = [
            Movement(StockKey(merchant_id, store_id, sku), MovementKind.RECEIPT, quantity, now_us)
            for sku, quantity in quantities
        ]
        store.receive(connection, movements)
        keys = sorted({movement.key for movement in movements})
        levels = store.lock_levels(connection, keys)
        return msgspec.json.encode([_row(*each) for each in levels.items()]).decode()

    answer, is_repeated = database.write(data, book)
    if is_repeated:
        output.remark(f"{request_id} was added before, and is not added again; the stock was then:")
    _show(msgspec.json.decode(answer), as_json=as_json)


def _arrival(text: str) -> tuple[str, int]:
    match = _ARRIVAL.fullmatch(text)
    if not match or int(match["quantity"]) == 0:
        raise typer.BadParameter(f"{text!r} is not like SKU=10", param_hint="SKU=QUANTITY")
    return match["sku"], int(match["quantity"])


def _require_store(connection: sa.Connection, merchant_id: str, store_id: str) -> None:
    known = [it.store_id for it in catalogue.list_stores(connection, merchant_id)]
    if store_id and store_id not in known:
        raise errors.InvalidInput([("--store", suggestions.unknown("store", store_id, known))])


def _require_products(connection: sa.Connection, merchant_id: str, skus: Sequence[str]) -> None:
    wanted = {(merchant_id, sku) for sku in skus if sku}
    missing = sorted(wanted - catalogue.load_snapshot(connection, (), wanted).products.keys())
    if not missing:
        return
    products = catalogue.list_products(connection, merchant_id, "", SKUS_MAX)
    known = [product.sku for product in products]
    raise errors.InvalidInput(
        [("", suggestions.unknown("product", sku, known)) for _, sku in missing]
    )


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        output.as_json({"stock": rows})
        return
    numbers = ["On hand", "Reserved", "Available"]
    table = output.table("Store", "SKU", *numbers, right=numbers)
    for row in rows:
        style = "" if row["available"] else "red"
        table.add_row(*map(str, row.values()), style=style)
    output.terminal().print(table)


def _row(key: StockKey, level: StockLevel) -> Row:
    return {
        "store_id": key.store_id,
        "sku": key.sku,
        "on_hand": level.on_hand,
        "reserved": level.reserved,
        "available": level.available,
    }
