"""Stock exceptions: more is promised of a product than is there, and a person sees to it.

An exception is opened by the movement that brought the stock there and closed by a person. It stops
no order. Must not change stock.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.inventory.messages import StockKey

STOCK_EXCEPTIONS = sa.Table(
    "stock_exceptions",
    db.METADATA,
    columns.growing_key("exception_key"),
    columns.ident("merchant_id"),
    columns.ident("location_id"),
    columns.ident("sku"),
    columns.words("lot", columns.ID_CHARS_MAX),
    columns.words("owner", 64),
    columns.number("opened_at_us"),
    columns.number("closed_at_us", nullable=True),
    columns.words("closed_by", 64),
    columns.words("closed_because"),
    sa.Index("stock_exceptions_open", "merchant_id", "closed_at_us", "exception_key"),
)

_KEY = ("merchant_id", "location_id", "sku", "lot")
_BY_KEY = bulk.shape_of(STOCK_EXCEPTIONS, *_KEY)


class StockException(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    exception_key: int
    key: StockKey
    owner: str
    """The person who deals with it."""
    opened_at_us: int
    closed_at_us: int | None = None
    closed_by: str = ""
    closed_because: str = ""


def open_for(connection: sa.Connection, keys: Sequence[StockKey], owner: str, now_us: int) -> None:
    """Open an exception for each of these stock rows that has none that is open.

    The caller holds their locks, so that a row has one at most.
    """
    known = _with_open(connection, keys)
    rows = [(*_row(key), owner, now_us) for key in keys if key not in known]
    bulk.insert(connection, STOCK_EXCEPTIONS, (*_KEY, "owner", "opened_at_us"), rows)


def _with_open(connection: sa.Connection, keys: Sequence[StockKey]) -> set[StockKey]:
    query = (
        "SELECT t.merchant_id, t.location_id, t.sku, t.lot"
        " FROM {w} CROSS JOIN stock_exceptions t ON t.merchant_id = {w.merchant_id}"
        " AND t.location_id = {w.location_id} AND t.sku = {w.sku} AND t.lot = {w.lot}"
        " AND t.closed_at_us IS NULL"
    )
    rows = bulk.select(connection, _BY_KEY, query, [_row(key) for key in keys])
    return {StockKey(*row) for row in rows}


def list_all(
    connection: sa.Connection, merchant_id: str, *, closed_too: bool = False
) -> list[StockException]:
    """Return the merchant's open exceptions, oldest first, or all."""
    t = STOCK_EXCEPTIONS.c
    query = sa.select(STOCK_EXCEPTIONS).where(t.merchant_id == merchant_id)
    if not closed_too:
        query = query.where(t.closed_at_us.is_(None))
    return [_exception(row) for row in connection.execute(query.order_by(t.exception_key))]


def lock(connection: sa.Connection, exception_key: int) -> StockException | None:
    """Return an exception and lock its row."""
    query = sa.select(STOCK_EXCEPTIONS).where(STOCK_EXCEPTIONS.c.exception_key == exception_key)
    row = connection.execute(query.with_for_update()).one_or_none()
    return _exception(row) if row else None


def close(
    connection: sa.Connection, exception_key: int, by: str, because: str, now_us: int
) -> None:
    """Close an exception."""
    this = STOCK_EXCEPTIONS.c.exception_key == exception_key
    how = {"closed_at_us": now_us, "closed_by": by, "closed_because": because}
    connection.execute(STOCK_EXCEPTIONS.update().where(this).values(how))


def _exception(row: sa.Row[tuple[object, ...]]) -> StockException:
    values = row._asdict()
    key = StockKey(*(values.pop(name) for name in _KEY))
    return StockException(key=key, **values)


def _row(key: StockKey) -> tuple[str, str, str, str]:
    return key.merchant_id, key.location_id, key.sku, key.lot
