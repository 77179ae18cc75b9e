"""Open orders: their holds, what the payment stage knows of them, and what they leave behind.

The hold of an open order is an appointment. It has a reason as soon as the order is to end without
a sale, and it is deleted in the transaction that ends the order or makes it PAID.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Store
from internal.infra import bulk
from internal.kernel import local_days
from internal.kernel.clock import US_PER_SECOND
from internal.orders import messages
from internal.orders.store import OrderSnapshot
from internal.payments import order_tenders
from internal.payments.messages import Ending, OnDecline, Tender
from internal.pipeline import appointments


class OpenOrder(msgspec.Struct, frozen=True):
    """What is recorded of an open order's payment beside its attempts and movements."""

    store: Store
    business_day: int
    """The store's, now: money that moves now belongs to it."""
    tenders: tuple[Tender, ...] = ()
    """The recorded ones."""
    hold: appointments.Appointment | None = None

    @property
    def ending(self) -> Ending | None:
        """Why it is to end, if that is decided."""
        return Ending(self.hold.reason) if self.hold and self.hold.reason else None

    def is_over(self, now_us: int) -> bool:
        """Tell whether its hold has ended."""
        return self.hold is not None and self.hold.due_at_us <= now_us


Pairs = Sequence[tuple[messages.OrderAccepted, OrderSnapshot]]


def load(connection: sa.Connection, orders: Pairs, now_us: int) -> dict[int, OpenOrder]:
    """Return what is recorded of those that are kept open, by order_key; nothing is locked."""
    kept = [accepted for accepted, order in orders if order.is_kept_open]
    if not kept:
        return {}
    keys = [it.order_key for it in kept]
    stores = catalogue_store.load_snapshot(
        connection, {(it.merchant_id, it.store_id) for it in kept}, ()
    ).stores
    recorded, holds = bulk.select_many(
        connection,
        [order_tenders.query(keys), appointments.query_of(messages.HOLD, map(str, keys))],
    )
    tenders, found = order_tenders.records_in(recorded), appointments.found_in(holds)
    return {
        it.order_key: _open_order(
            stores[it.merchant_id, it.store_id],
            tenders.get(it.order_key, {}),
            found.get(str(it.order_key)),
            now_us,
        )
        for it in kept
    }


def _open_order(
    store: Store,
    tenders: Mapping[int, order_tenders.TenderRecord],
    hold: appointments.Appointment | None,
    now_us: int,
) -> OpenOrder:
    zone = local_days.zone_named(store.time_zone)
    return OpenOrder(
        store,
        local_days.business_day(now_us, zone, store.day_cut_off_minutes),
        tuple(it.tender for it in tenders.values()),
        hold,
    )


def hold_until_us(placed: messages.OrderPlaced, store: Store) -> int:
    """Return when a new order expires if it is kept open; 0 if it is not."""
    if placed.on_decline is not OnDecline.KEEP_OPEN:
        return 0
    hold_s = min(placed.hold_s or store.hold_default_s, store.hold_longest_s)
    return placed.placed_at_us + hold_s * US_PER_SECOND


def add(connection: sa.Connection, facts: Iterable[messages.Fact]) -> None:
    """Insert the holds of those of the new orders that are kept open."""
    holds = [
        hold_of(fact.order_key, fact.hold_until_us)
        for fact in facts
        if isinstance(fact, messages.OrderAccepted) and fact.hold_until_us
    ]
    appointments.add(connection, holds)


def hold_of(order_key: int, due_at_us: int, reason: str = "") -> appointments.Appointment:
    """Return the appointment of an open order."""
    return appointments.Appointment(messages.HOLD, str(order_key), due_at_us, reason)


def end(connection: sa.Connection, endings: Mapping[int, Ending], now_us: int) -> None:
    """Note that open orders, whose rows are locked, are to end: what they hold is voided first."""
    holds = [hold_of(key, now_us, ending) for key, ending in endings.items()]
    appointments.decide(connection, holds)


def settle(connection: sa.Connection, order_keys: Sequence[int]) -> None:
    """Delete the holds of open orders that have ended, or are PAID."""
    appointments.delete(connection, messages.HOLD, [str(key) for key in order_keys])
