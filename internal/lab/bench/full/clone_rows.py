"""The rows of orders over all tables, so that they can be counted, copied and written again.

The one place in this room that knows which tables hold an order.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from internal.infra import bulk
from internal.inventory import store as inventory_store
from internal.ledger import store as ledger_store
from internal.orders import store as order_store
from internal.payments import store as payment_store


class Kept(NamedTuple):
    """A table that holds rows of orders."""

    table: sa.Table
    order_key: str = "order_key"
    """The column that says whose they are."""
    drawn: str = ""
    """A column whose values the database draws."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are written."""
        return tuple(column.name for column in self.table.columns if column.name != self.drawn)


TABLES = (
    Kept(order_store.ORDERS),
    Kept(order_store.ORDER_LINES),
    Kept(order_store.ORDER_LOG),
    Kept(payment_store.PAYMENT_ATTEMPTS),
    Kept(inventory_store.STOCK_MOVEMENTS, drawn="movement_key"),
    Kept(ledger_store.LEDGER_ENTRIES, "source_key"),
)

Rows = Mapping[Kept, Sequence[Sequence[Any]]]
"""By table; the values stand in the order of Kept.names."""


def read(connection: sa.Connection, after: int, upto: int) -> dict[Kept, list[list[Any]]]:
    """Return all rows of the orders with keys in (after, upto]."""
    found: dict[Kept, list[list[Any]]] = {}
    for kept in TABLES:
        key = kept.table.c[kept.order_key]
        columns = [kept.table.c[name] for name in kept.names]
        query = sa.select(*columns).where(key > after, key <= upto).order_by(key)
        found[kept] = [list(row) for row in connection.execute(query)]
    return found


def count(rows: Rows) -> int:
    """Count the rows of all tables."""
    return sum(map(len, rows.values()))


def write(connection: sa.Connection, rows: Rows) -> None:
    """Insert rows, a statement a table, as the stages do."""
    for kept, values in rows.items():
        bulk.insert(connection, kept.table, kept.names, values)


def moved(rows: Rows, by: int) -> Rows:
    """Return the rows as those of other orders, whose keys are larger by so much."""
    return {kept: [_moved(kept, row, by) for row in values] for kept, values in rows.items()}


def _moved(kept: Kept, row: Sequence[Any], by: int) -> list[Any]:
    """Change what must differ from order to order: keys, names, receipt numbers."""
    other = list(row)
    for place, name in enumerate(kept.names):
        if name in {kept.order_key, "receipt_no"}:
            other[place] += by
        elif name in {"order_id", "attempt_key"}:
            other[place] += f".{by}"
    return other


def make_tables(connection: sa.Connection, like: str) -> None:
    """Make empty tables in this database: copies of those in `like`, with all their indexes."""
    for kept in TABLES:
        name = kept.table.name
        connection.exec_driver_sql(f"CREATE TABLE `{name}` LIKE `{like}`.`{name}`")
