"""What must hold of the books, whatever happened: I1 to I7, I9 and I10 of the reliability rules.

Every rule is a question to the database, asked for all orders at once; memory stays small however
many there are. Reads only, and judges only what is given: an order under way is no finding.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.checks import findings
from internal.checks import gateway as gateway_checks
from internal.checks import money as money_checks
from internal.checks import orders as order_checks
from internal.checks import stock as stock_checks
from internal.kernel import ids
from internal.orders import store

Finding = findings.Finding
OrderName = ids.OrderRef


class Tally(msgspec.Struct, frozen=True):
    """So many orders are in this state, for this reason (empty if it needs none)."""

    state: str
    reason: str
    orders: int


def check(
    connection: sa.Connection,
    *,
    captured_at_gateway: Mapping[str, int] | None = None,
    moving_at_gateway: Collection[str] = (),
    backlog: Mapping[str, int] | None = None,
    acknowledged: Iterable[OrderName] | None = None,
    may_wait: bool = False,
    now_us: int | None = None,
) -> list[Finding]:
    """Return every rule that does not hold; none of them is the good answer.

    Args:
        connection: a snapshot of the database; nothing is written.
        captured_at_gateway: {idempotency key: minor units} that the gateway holds by its own books.
        moving_at_gateway: keys whose charges changed there while the snapshot was taken.
        backlog: {subscription: messages not acknowledged}; all should be 0.
        acknowledged: orders that were answered OK; read once, in batches. Each must have come to
            its end.
        may_wait: let those of them pass that wait for an operator.
        now_us: the present, to find deadlines that have long passed.
    """
    found: list[Finding] = []
    if acknowledged is not None:
        found += order_checks.check_acknowledged(connection, acknowledged, may_wait=may_wait)
    found += order_checks.check(connection, now_us)
    found += money_checks.check(connection)
    if captured_at_gateway is not None:
        found += gateway_checks.check(connection, captured_at_gateway, moving_at_gateway)
    found += stock_checks.check(connection)
    if backlog is not None:
        found += order_checks.check_backlog(backlog)
    return sorted(found, key=lambda finding: int(finding.invariant[1:]))


def summary(connection: sa.Connection) -> list[Tally]:
    """Count the orders by state and reason."""
    orders = store.ORDERS.c
    group = (orders.state, orders.reason)
    query = sa.select(*group, sa.func.count()).group_by(*group).order_by(*group)
    return [Tally(*row) for row in connection.execute(query)]


def canaries(connection: sa.Connection, numbers: Sequence[str]) -> list[Finding]:
    """Return where any of `numbers` stands in the database: every text column of every table.

    For tests, which send such numbers in every field. The numbers themselves are not repeated.
    """
    inspector, notes = sa.inspect(connection), findings.Notes("I10")
    for table in inspector.get_table_names():
        for name, rows in _count_holding(connection, inspector, table, numbers).items():
            if rows:
                example = findings.show(column=f"{table}.{name}", rows=rows)
                notes.add("no card number or secret stands in the database", example, rows)
    return notes.findings()


def _count_holding(
    connection: sa.Connection, inspector: sa.Inspector, table: str, numbers: Sequence[str]
) -> dict[str, int]:
    """Count per text column, in one walk over the table, the rows that hold any of `numbers`."""
    kinds = (sa.String, sa.LargeBinary, sa.JSON)
    names = [c["name"] for c in inspector.get_columns(table) if isinstance(c["type"], kinds)]
    if not names or not numbers:
        return {}
    counts = [sa.func.sum(sa.case((_holds(name, numbers), 1), else_=0)) for name in names]
    row = connection.execute(sa.select(*counts).select_from(sa.table(table))).one()
    return dict(zip(names, (int(count or 0) for count in row), strict=True))


def _holds(name: str, numbers: Sequence[str]) -> sa.ColumnElement[bool]:
    column: sa.ColumnElement[str] = sa.column(name, sa.Text())
    return sa.or_(*(sa.func.instr(column, number) > 0 for number in numbers))
