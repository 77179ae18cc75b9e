"""`souk stock`: the stock of the stores. Every change leaves a movement."""

import dataclasses
import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec
import sqlalchemy as sa
import typer

from internal.auth import actors
from internal.catalogue import store as catalogue
from internal.cli import actor, database, timestamps
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output, suggestions, values
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.inventory import exceptions, store
from internal.inventory.messages import Reason, StockKey, StockLevel
from internal.kernel import errors, ids, quantities
from internal.requests import rules as request_rules
from internal.requests import store as requests
from internal.requests.messages import Request, RequestState, SubjectKind
from internal.stages import stock_changes

app = lazy_groups.new()

SKUS_MAX = 1_000_000
_QUANTITY = re.compile(r"(?P<sku>.+)=(?P<decimal>[0-9.]+)")
"""The last `=` counts: a SKU may have some, too."""
ID_BYTES = 8

Levels = list[tuple[StockKey, StockLevel]]
Row = dict[str, str]
RECORD_STOCK = "RecordStock"
"""The method under which documents of stock are recorded as requests."""


class Recorded(NamedTuple):
    """A document that is recorded, with the stock as it was then."""

    document_id: str
    is_repeated: bool
    rows: list[Row]


@dataclasses.dataclass(frozen=True)
class Document:
    """What is recorded: where and when it happened, its name, and who deals with it."""

    store_id: Annotated[str, typer.Option("--store", metavar="ID", help="Where it happened.")]
    merchant: MerchantId = ""
    document_id: Annotated[
        str,
        typer.Option(
            "--document",
            metavar="ID",
            show_default="a new one",
            help="Its name, such as a delivery note's number. It is recorded once: the same again "
            "gets the same answer, and another document of that name is refused.",
        ),
    ] = ""
    owner: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default="your name",
            help="The person who deals with it if more is promised than is left.",
        ),
    ] = ""
    at: Annotated[
        str, typer.Option(metavar="TIME", show_default="now", help=f"When: {timestamps.FORMS}.")
    ] = ""
    by: actor.By = ""


class Kind(enum.StrEnum):
    """What an adjustment is."""

    COUNT = "count"
    WRITE_OFF = "write-off"


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
@flattened
def receive(
    arrivals: Annotated[
        list[str],
        typer.Argument(
            metavar="SKU=QUANTITY", help="A product that arrived, and how many: TEA=10, HAM=1.25."
        ),
    ],
    document: Document,
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add arrived goods to a store's stock.

    Running it again adds them again, unless the document is named.
    """
    book = _recording(document, Reason.RECEIPT, _quantities(arrivals, least_milli=1))
    _show_recorded(database.write(data, book), as_json=as_json)


@app.command()
@flattened
def adjust(
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="SKU=QUANTITY", help="A product, and how many were found or are written off."
        ),
    ],
    kind: Annotated[Kind, typer.Option(help="What was done.")],
    document: Document,
    *,
    reason: actor.Reason = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Record a count, or write goods off, with a reason.

    A count is compared with the records of its own time; what was sold since then stays sold. Stock
    may fall below what orders have reserved: that opens an exception, and stops no order.
    """
    told = _quantities(changes)
    why = actor.reason_of(reason)
    is_count = kind is Kind.COUNT
    signed = told if is_count else {sku: -milli for sku, milli in told.items()}
    book = _recording(document, Reason.COUNT if is_count else Reason.WRITE_OFF, signed, why)
    _show_recorded(database.write(data, book), as_json=as_json)


def _recording(
    document: Document, reason: Reason, quantities_milli: Mapping[str, int], why: str = ""
) -> Callable[[sa.Connection], Recorded]:
    """Return the transaction that records a document; the same one again changes nothing."""
    now_us = clock.SystemClock().now_us()
    by = actor.name_of(document.by)
    at_us = timestamps.parse(document.at, now_us, "--at") if document.at else now_us
    if at_us > now_us:
        raise typer.BadParameter(f"{document.at!r} is in the future", param_hint="--at")
    document_id = document.document_id or ids.random_token(ID_BYTES)
    if not values.ID.fullmatch(document_id):
        raise typer.BadParameter(f"an id is {values.ID_FORM}", param_hint="--document")

    def book(connection: sa.Connection) -> Recorded:
        merchant_id = merchants.require(connection, document.merchant)
        _require_store(connection, merchant_id, document.store_id)
        _require_products(connection, merchant_id, list(quantities_milli))
        change = stock_changes.Change(
            merchant_id=merchant_id,
            location_id=document.store_id,
            document_id=document_id,
            reason=reason,
            quantities_milli=quantities_milli,
            actor=by,
            owner=document.owner or by,
            happened_at_us=at_us,
        )
        asked = Request(
            merchant_id=merchant_id,
            method=RECORD_STOCK,
            request_id=document_id,
            body_hash=request_rules.hash_of(
                document.store_id, reason, sorted(quantities_milli.items()), document.at
            ),
            subject_kind=SubjectKind.STORE,
            subject=document.store_id,
            state=RequestState.DONE,
            actor_key=actors.key_of(connection, merchant_id, actors.OPERATOR, by, now_us),
            at_us=now_us,
        )

        def record() -> str:
            levels = stock_changes.record(connection, change, why, now_us)
            return msgspec.json.encode([_row(*each) for each in levels.items()]).decode()

        answer, is_repeated = requests.once(connection, asked, record)
        return Recorded(document_id, is_repeated, msgspec.json.decode(answer))

    return book


def _show_recorded(it: Recorded, *, as_json: bool) -> None:
    if it.is_repeated:
        what = "was recorded before with the same content; nothing was changed now. The stock then:"
        output.remark(f"{it.document_id} {what}")
    _show(it.rows, as_json=as_json)


@app.command("exceptions")
def list_exceptions(
    *,
    merchant: MerchantId = "",
    every: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List stock of which more is promised than there is, and who deals with it."""

    def find(connection: sa.Connection) -> list[exceptions.StockException]:
        merchant_id = merchants.require(connection, merchant)
        return exceptions.list_all(connection, merchant_id, closed_too=every)

    found = database.read(data, find)
    if as_json:
        output.as_json({"exceptions": found})
    elif found:
        _show_exceptions(found)
    else:
        output.say("no open exceptions", style="green")


@app.command("close")
def close_exception(
    key: Annotated[int, typer.Argument(metavar="EXCEPTION", help="Its number.")],
    *,
    reason: actor.Reason = "",
    by: actor.By = "",
    data: Data = None,
) -> None:
    """Close an exception, with a reason, once the stock suffices again."""
    name, why = actor.name_of(by), actor.reason_of(reason)
    now_us = clock.SystemClock().now_us()
    database.write(data, lambda c: stock_changes.close_exception(c, key, name, why, now_us))
    output.say(f"exception {key} is closed")


def _show_exceptions(found: Sequence[exceptions.StockException]) -> None:
    table = output.table(
        "Exception", "Store", "SKU", "Owner", "Opened", "Closed", right=["Exception"]
    )
    for it in found:
        closed = f"{it.closed_by}: {it.closed_because}" if it.closed_at_us is not None else ""
        table.add_row(
            str(it.exception_key),
            it.key.location_id,
            it.key.sku,
            output.plain(it.owner),
            output.moment(it.opened_at_us),
            output.plain(closed),
        )
    output.terminal().print(table)


def _quantities(texts: Sequence[str], least_milli: int = 0) -> dict[str, int]:
    """Return the thousandths of each product, at least `least_milli` each."""
    found: dict[str, int] = {}
    for text in texts:
        match = _QUANTITY.fullmatch(text)
        milli = quantities.parse(match["decimal"]) if match else None
        if match is None or milli is None or milli < least_milli:
            raise typer.BadParameter(f"{text!r} is not like SKU=10", param_hint="SKU=QUANTITY")
        if match["sku"] in found:
            what = f"{match['sku']} is there twice"
            raise typer.BadParameter(what, param_hint="SKU=QUANTITY")
        found[match["sku"]] = milli
    return found


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
        has_none = row["available"] == "0" or row["available"].startswith("-")
        style = "red" if has_none else ""
        table.add_row(*row.values(), style=style)
    output.terminal().print(table)


def _amounts(level: StockLevel) -> tuple[int, int, int]:
    return level.on_hand_milli, level.reserved_milli, level.available_milli


def _row(key: StockKey, level: StockLevel) -> dict[str, str]:
    names = ("on_hand", "reserved", "available")
    shown = zip(names, map(quantities.text, _amounts(level)), strict=True)
    return {"store_id": key.location_id, "sku": key.sku, **dict(shown)}
