"""Sales per day, store and currency: finalized orders, by the day on which they were placed.

The database computes the sums. Amounts of different currencies are never added.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from internal.kernel import local_days, money
from internal.kernel.states import OrderState
from internal.orders import store
from internal.reports import registry
from internal.reports.registry import Column, Kind

_AMOUNTS = ("gross", "discount", "net", "tax", "total")


def rows(
    connection: sa.Connection, merchant_id: str, parameters: registry.Parameters
) -> Iterator[registry.Row]:
    """Yield a row per day, store and currency with sales, sorted by these.

    A day at the edge of the period may be counted in part. Scans the index `orders_by_time` once.
    """
    for row in connection.execute(_query(merchant_id, parameters)):
        amounts = (getattr(row, name) for name in _AMOUNTS)
        yield (
            local_days.date_text(int(row.day_us)),
            row.store_id,
            row.currency,
            row.orders,
            *(money.to_text(int(minor), row.currency) for minor in amounts),
        )


def _query(merchant_id: str, parameters: registry.Parameters) -> sa.Select[Any]:
    o = store.ORDERS.c
    local_us = o.placed_at_us + _offset(parameters)
    sums = (sa.func.sum(o[f"{name}_minor"]).label(name) for name in _AMOUNTS)
    groups = ("day_us", "store_id", "currency")
    return (
        sa.select(
            (local_us - local_us % local_days.DAY_US).label("day_us"),
            o.store_id,
            o.currency,
            sa.func.count().label("orders"),
            *sums,
        )
        .where(
            o.merchant_id == merchant_id,
            o.placed_at_us >= parameters.since_us,
            o.placed_at_us < parameters.until_us,
            o.state == OrderState.FINALIZED,
        )
        .group_by(*groups)
        .order_by(*groups)
    )


def _offset(parameters: registry.Parameters) -> sa.ColumnElement[int]:
    """Return SQL for the zone's offset from UTC at the instant of an order."""
    *changes, last = local_days.offsets(
        parameters.since_us, parameters.until_us, parameters.time_zone
    )
    last_offset = sa.literal(last.offset_us)
    if not changes:
        return last_offset
    placed_at_us = store.ORDERS.c.placed_at_us
    return sa.case(
        *((placed_at_us < it.until_us, sa.literal(it.offset_us)) for it in changes),
        else_=last_offset,
    )


REPORT = registry.Report(
    summary="finalized orders and their amounts per day, store and currency",
    columns=(
        Column("day", Kind.DATE, "day on which the orders were placed"),
        Column("store_id", Kind.TEXT, "store"),
        Column("currency", Kind.TEXT, "ISO 4217 code of the amounts"),
        Column("orders", Kind.COUNT, "finalized orders"),
        Column("gross", Kind.AMOUNT, "quantity times price of all lines"),
        Column("discount", Kind.AMOUNT, "taken off the gross"),
        Column("net", Kind.AMOUNT, "total without any tax"),
        Column("tax", Kind.AMOUNT, "all tax, inside the prices and on top of them"),
        Column("total", Kind.AMOUNT, "what the customers paid: net and tax"),
    ),
    rows=rows,
)
