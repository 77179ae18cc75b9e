"""Movements of stock for tests, each with a source of its own."""

import itertools

import sqlalchemy as sa

from internal.inventory import store
from internal.inventory.messages import Movement, Reason, SourceKind, StockKey
from internal.kernel.quantities import MILLI

OWNER = "olga"
AT_US = 1_700_000_000_000_000
DAY = 2023_11_14
_source_keys = itertools.count(1)


def moved(
    key: StockKey, units: float, reason: Reason = Reason.RECEIPT, at_us: int = AT_US
) -> Movement:
    return Movement(
        business_day=DAY,
        source_kind=SourceKind.OPENING,
        source_key=next(_source_keys),
        movement_no=1,
        key=key,
        reason=reason,
        quantity_milli=round(units * MILLI),
        happened_at_us=at_us,
        recorded_at_us=at_us,
    )


def move(connection: sa.Connection, key: StockKey, units: float) -> None:
    store.move(connection, [moved(key, units)], OWNER)
