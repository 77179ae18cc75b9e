"""The SQL of changes that leave an order in its state, such as those of its charge.

A change is a new version without a row in the order log. The caller has locked the order's row.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel.states import ChargeState
from internal.orders import store


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
