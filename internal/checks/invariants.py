"""The invariants I1 to I7 and I9 to I13 of the reliability rules, which hold after any failure.

The database evaluates every rule for all orders, at once or window by window, so memory use does
not grow with them. Writes nothing. An order that is still in progress is not a finding.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.checks import findings, seals
from internal.checks import gateway as gateway_checks
from internal.checks import ledger as ledger_checks
from internal.checks import money as money_checks
from internal.checks import orders as order_checks
from internal.checks import prices as price_checks
from internal.checks import requests as request_checks
from internal.checks import stock as stock_checks
from internal.checks import tenders as tender_checks
from internal.checks.scope import EVERYTHING, Scope
from internal.kernel import ids
from internal.orders import refusals, store

Finding = findings.Finding


class Tally(msgspec.Struct, frozen=True):
    """The number of orders in a state, by reason; the reason is empty in states without one."""

    state: str
    reason: str
    orders: int


def check(
    connection: sa.Connection,
    *,
    captured_at_gateway: Mapping[str, int] | None = None,
    backlog: Mapping[str, int] | None = None,
    acknowledged: Iterable[ids.OrderRef] | None = None,
    may_wait: bool = False,
    now_us: int | None = None,
    scope: Scope = EVERYTHING,
) -> list[Finding]:
    """Return every rule that does not hold.

    Args:
        connection: a snapshot of the database; nothing is written.
        captured_at_gateway: {idempotency key: minor units} in the gateway's own ledger.
        backlog: {subscription: messages not acknowledged}; all should be 0.
        acknowledged: orders that were answered OK; iterated once, in batches. Each must be in a
            terminal state.
        may_wait: accept those of them that wait for an operator.
        now_us: the current time, to find deadlines that passed long ago.
        scope: the part of the database that is checked.
    """
    found: list[Finding] = []
    if acknowledged is not None:
        found += order_checks.check_acknowledged(connection, acknowledged, may_wait=may_wait)
    found += order_checks.check(connection, scope, now_us)
    found += money_checks.check(connection, scope)
    found += price_checks.check(connection, scope)
    found += tender_checks.check(connection, scope)
    found += ledger_checks.check(connection, scope)
    found += seals.check(connection, scope)
    if captured_at_gateway is not None:
        found += gateway_checks.check(connection, captured_at_gateway, scope)
    found += stock_checks.check(connection, scope)
    found += request_checks.check(connection)
    if backlog is not None:
        found += order_checks.check_backlog(backlog)
    return sorted(found, key=lambda finding: int(finding.invariant[1:]))


def summary(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[Tally]:
    """Return the number of orders of the scope by state and reason."""
    orders = store.ORDERS.c
    group = (orders.state, refusals.REASON)
    query = sa.select(*group, sa.func.count()).select_from(refusals.WITH_ORDERS)
    query = query.where(orders.order_key > scope.after).group_by(*group).order_by(*group)
    return [Tally(*row) for row in connection.execute(query)]


def canaries(connection: sa.Connection, numbers: Sequence[str]) -> list[Finding]:
    """Search every text column of every table for `numbers`; return where they were found.

    For tests, which send such numbers in every field. Findings do not repeat the numbers.
    """
    inspector, broken = sa.inspect(connection), findings.Collector("I10")
    for table in inspector.get_table_names():
        for name, rows in _count_matches(connection, inspector, table, numbers).items():
            if rows:
                example = findings.show(column=f"{table}.{name}", rows=rows)
                broken.add("no card number or secret is in the database", example, rows)
    return broken.findings()


def _count_matches(
    connection: sa.Connection, inspector: sa.Inspector, table: str, numbers: Sequence[str]
) -> dict[str, int]:
    """Count the rows with any of `numbers`, per text column, in one scan of the table."""
    kinds = (sa.String, sa.LargeBinary, sa.JSON)
    names = [c["name"] for c in inspector.get_columns(table) if isinstance(c["type"], kinds)]
    if not names or not numbers:
        return {}
    counts = [sa.func.sum(sa.case((_contains(name, numbers), 1), else_=0)) for name in names]
    row = connection.execute(sa.select(*counts).select_from(sa.table(table))).one()
    return dict(zip(names, (int(count or 0) for count in row), strict=True))


def _contains(name: str, numbers: Sequence[str]) -> sa.ColumnElement[bool]:
    column: sa.ColumnElement[str] = sa.column(name, sa.Text())
    return sa.or_(*(sa.func.instr(column, number) > 0 for number in numbers))
