"""The rows of orders in all tables, so that they can be counted, copied and written again.

The only module in this room that knows which tables hold an order.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from internal.infra import bulk
from internal.inventory import store as inventory_store
from internal.inventory.messages import SourceKind
from internal.ledger import rules as ledger_rules
from internal.ledger import store as ledger_store
from internal.orders import parts, refusals, tables
from internal.orders import store as order_store
from internal.payments import order_tenders, transactions
from internal.payments import store as payment_store
from internal.privacy import store as privacy_store


class OrderTable(NamedTuple):
    """A table that holds rows of orders."""

    table: sa.Table
    order_key: str = "order_key"
    """The column with the order's key."""
    kind: str = ""
    """Rows of orders have this source_kind or subject_kind, where there is such a column."""

    @property
    def is_of_order(self) -> str:
        """SQL: whether a row `t` belongs to an order `o`, so that the primary key is used."""
        of_order = f"t.{self.order_key} = o.order_key"
        if "subject_kind" in self.table.c:
            return f"t.subject_kind = '{self.kind}' AND {of_order}"
        if not self.kind:
            return of_order
        return f"t.business_day = o.business_day AND t.source_kind = '{self.kind}' AND {of_order}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that are written."""
        return tuple(column.name for column in self.table.columns)


TABLES = (
    OrderTable(order_store.ORDERS),
    OrderTable(tables.ORDER_LINES),
    OrderTable(parts.ORDER_LINE_PARTS),
    OrderTable(refusals.ORDER_REFUSALS),
    OrderTable(order_store.ORDER_LOG),
    OrderTable(order_tenders.ORDER_TENDERS),
    OrderTable(payment_store.PAYMENT_ATTEMPTS),
    OrderTable(transactions.PAYMENT_TRANSACTIONS),
    OrderTable(inventory_store.STOCK_MOVEMENTS, "source_key", SourceKind.ORDER),
    OrderTable(ledger_store.LEDGER_ENTRIES, "source_key", ledger_rules.SALE),
    OrderTable(privacy_store.PRIVATE_VALUES, "subject_key", privacy_store.Subject.ORDER),
)

Rows = Mapping[OrderTable, Sequence[Sequence[Any]]]
"""By table; the values are in the order of OrderTable.names."""


def read(connection: sa.Connection, after: int, upto: int) -> dict[OrderTable, list[list[Any]]]:
    """Return all rows of the orders with keys in (after, upto]."""
    found: dict[OrderTable, list[list[Any]]] = {}
    for kept in TABLES:
        columns = ", ".join(f"t.{name}" for name in kept.names)
        query = (
            f"SELECT {columns} FROM orders o CROSS JOIN {kept.table.name} t ON {kept.is_of_order}"  # noqa: S608
            f" WHERE o.order_key > :after AND o.order_key <= :upto ORDER BY o.order_key"
        )
        rows = connection.execute(sa.text(query), {"after": after, "upto": upto})
        found[kept] = [list(row) for row in rows]
    return found


def count(rows: Rows) -> int:
    """Count the rows of all tables."""
    return sum(map(len, rows.values()))


def write(connection: sa.Connection, rows: Rows) -> None:
    """Insert rows with one statement per table, as the stages do."""
    for kept, values in rows.items():
        bulk.insert(connection, kept.table, kept.names, values)


def moved(rows: Rows, by: int) -> Rows:
    """Return the rows as rows of other orders, whose keys are larger by `by`."""
    return {kept: [_moved(kept, row, by) for row in values] for kept, values in rows.items()}


def _moved(kept: OrderTable, row: Sequence[Any], by: int) -> list[Any]:
    """Change the values that must be unique: keys, names, receipt numbers."""
    other = list(row)
    for place, name in enumerate(kept.names):
        if name in {kept.order_key, "receipt_no"}:
            other[place] += by
        elif name in {"order_id", "attempt_key"}:
            other[place] += f".{by}"
    return other


def make_tables(connection: sa.Connection, like: str) -> None:
    """Create empty copies of the tables in the database `like`, with all indexes."""
    for kept in TABLES:
        name = kept.table.name
        connection.exec_driver_sql(f"CREATE TABLE `{name}` LIKE `{like}`.`{name}`")
