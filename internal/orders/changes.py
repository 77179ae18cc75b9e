"""The SQL of changes that leave an order in its state: of its charge, and of its lines.

Each is a new version. That of a charge has no row in the order log; that of the lines has a new
OrderAccepted, which replaces the one before. The caller has locked the order's row.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel.states import ChargeState
from internal.orders import codec, lines, messages, store
from internal.pricing.messages import PricedOrder


class OpenCharge(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an order's charge, and the order's deadline."""

    order_key: int
    from_version: int
    version: int
    """The next one if the charge has changed."""
    state: ChargeState
    due_at_us: int | None
    at_us: int
    amounts: store.ChargeAmounts


_CHARGE = (
    "order_key",
    "charge_state",
    "version",
    "due_at_us",
    *store.ChargeAmounts.__struct_fields__,
)
_UPDATED = (
    "updated_at_us",
    "CASE WHEN {w.version} > {w.from_version} THEN {w.updated_at_us} ELSE t.updated_at_us END",
)


def set_charge(connection: sa.Connection, changes: Sequence[OpenCharge]) -> None:
    """Set what is known of the charges of orders whose payment goes on.

    Raises:
        Conflict: an order moved under this transaction; repeat the whole of it.
    """
    rows = [
        (
            it.order_key,
            it.state,
            it.version,
            it.due_at_us,
            *msgspec.structs.astuple(it.amounts),
            it.at_us,
            it.from_version,
        )
        for it in changes
    ]
    shape = bulk.shape_of(
        store.ORDERS, *_CHARGE, "updated_at_us", from_version=store.ORDERS.c.version
    )
    what = (*bulk.assign(*_CHARGE[1:]), _UPDATED)
    bulk.update_deferred(connection, store.ORDERS, shape, ("order_key",), what, rows, store.UNMOVED)


class Repriced(msgspec.Struct, frozen=True, kw_only=True):
    """An order's new lines with their amounts, and its deadline."""

    order_key: int
    from_version: int
    priced: PricedOrder
    due_at_us: int
    at_us: int


_PRICES = ("price_policy", "gross_minor", "discount_minor", "net_minor", "tax_minor", "total_minor")
_REPRICED = ("order_key", "version", *_PRICES, "due_at_us", "updated_at_us")


def reprice(connection: sa.Connection, changes: Sequence[Repriced]) -> None:
    """Replace the lines of orders, with their parts and amounts.

    Raises:
        Conflict: an order moved under this transaction; repeat the whole of it.
    """
    rows = [
        (
            it.order_key,
            it.from_version + 1,
            *(getattr(it.priced, name) for name in _PRICES),
            it.due_at_us,
            it.at_us,
            it.from_version,
        )
        for it in changes
    ]
    shape = bulk.shape_of(store.ORDERS, *_REPRICED, from_version=store.ORDERS.c.version)
    what = bulk.assign(*_REPRICED[1:])
    bulk.update_deferred(connection, store.ORDERS, shape, ("order_key",), what, rows, store.UNMOVED)
    lines.replace(connection, [(it.order_key, it.priced) for it in changes])


_VERDICTS = (
    "{alias}.order_key = {{w.order_key}}"
    f" AND {{alias}}.stage = '{messages.LogStage.ORDER}'"
    f" AND SUBSTR({{alias}}.event_id, 1, {len(messages.CONFLICT_EVENT)})"
    f" <> '{messages.CONFLICT_EVENT}'"
)
_NEWEST = (
    f"SELECT t.order_key, t.fact FROM {{w}} CROSS JOIN order_log t ON {_VERDICTS.format(alias='t')}"  # noqa: S608 - our own names
    " AND t.version = (SELECT MAX(l.version) FROM order_log l"
    f" WHERE {_VERDICTS.format(alias='l')})"
)


def newest_accepted(
    connection: sa.Connection, order_keys: Sequence[int]
) -> dict[int, messages.OrderAccepted]:
    """Return the OrderAccepted of each order that counts: that of its last lines.

    Raises:
        Poison: one cannot be read.
    """
    shape = bulk.shape_of(store.ORDER_LOG, "order_key")
    rows = bulk.select(connection, shape, _NEWEST, [(key,) for key in order_keys])
    facts = {row.order_key: codec.decode(row.fact) for row in rows}
    return {key: it for key, it in facts.items() if isinstance(it, messages.OrderAccepted)}
