"""The SQL of orders: a row for each, its lines, and the log of its facts.

The log is also the stages' claim: one row per event and stage.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.catalogue.messages import PricePolicy
from internal.infra import bulk
from internal.kernel import facts, ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import awaited, codec, lines, messages, refusals, tables
from internal.payments.messages import OnDecline
from internal.pricing.messages import PricedOrder

ORDERS, ORDER_LOG = tables.ORDERS, tables.ORDER_LOG

Claim = tuple[int, str, str]
"""(order_key, stage, event_id)."""


class OrderSnapshot(msgspec.Struct, frozen=True):
    """The recorded state of an order."""

    order_key: int
    merchant_id: str
    order_id: str
    body_hash: str
    state: OrderState
    charge_state: ChargeState
    stock_state: StockState
    version: int
    on_decline: OnDecline = OnDecline.REFUSE
    digest: int | None = None
    """Of the logged fact, where `lock_with_digest` found it; else None."""

    @property
    def is_kept_open(self) -> bool:
        """Whether a declined tender leaves it open."""
        return self.on_decline is OnDecline.KEEP_OPEN

    @property
    def is_open(self) -> bool:
        """Whether it is kept open and has not been paid or ended."""
        return self.is_kept_open and self.state is OrderState.ACCEPTED


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the order log. (order_key, stage, event_id) is the claim: it can be written once."""

    order_key: int
    stage: str
    event_id: str
    version: int
    state: OrderState
    reason: str = ""
    fact: messages.Fact
    at_us: int


class ChargeAmounts(msgspec.Struct, frozen=True, kw_only=True):
    """The sums over an order's tenders, as its row shows them."""

    tip_minor: int
    cash_rounding_minor: int
    authorized_minor: int
    captured_minor: int
    outstanding_minor: int


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """An order's step from one version to the next."""

    order_key: int
    from_version: int
    state: OrderState
    charge_state: ChargeState
    stock_state: StockState
    reason: str = ""
    explanation: str = ""
    due_at_us: int | None = None
    at_us: int
    receipt_no: int | None = None
    amounts: ChargeAmounts | None = None
    """None: they stay as they are."""


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A placed order with the order stage's verdict; `priced` is None if it has no price."""

    placed: messages.OrderPlaced
    state: OrderState
    stock_state: StockState
    currency: str
    business_day: int
    priced: PricedOrder | None
    reason: str
    explanation: str
    due_at_us: int | None
    at_us: int


_SNAPSHOT = (
    "t.order_key, t.merchant_id, t.order_id, t.body_hash, t.state, t.charge_state, t.stock_state,"
    " t.version, t.on_decline"
)
_BY_MERCHANT = bulk.shape_of(ORDERS, "merchant_id", "order_id")
_BY_KEY = bulk.shape_of(ORDERS, "order_key")
_MOVED = (
    "order_key",
    "state",
    "charge_state",
    "stock_state",
    "version",
    "due_at_us",
    "updated_at_us",
    "receipt_no",
)
_AMOUNTS = ChargeAmounts.__struct_fields__
UNMOVED = bulk.Guard("t.version = {w.from_version}", "orders moved under this transaction")
"""The guard of every change of an order: it has the version that it was read at."""
_CLAIM = bulk.shape_of(ORDER_LOG, "order_key", "stage", "event_id")


_FIND = (
    f"SELECT {_SNAPSHOT} FROM {{w}} CROSS JOIN orders t"  # noqa: S608 - our own names
    " ON t.merchant_id = {w.merchant_id} AND t.order_id = {w.order_id}"
)


def find(
    connection: sa.Connection, keys: Sequence[ids.OrderRef]
) -> dict[ids.OrderRef, OrderSnapshot]:
    """Return those of the orders that are recorded."""
    return found_in(bulk.select(connection, *query_of(keys)))


def query_of(keys: Sequence[ids.OrderRef]) -> bulk.Query:
    """Return the query of `find`, to be run with others: `found_in` reads its answer."""
    return bulk.Query(_BY_MERCHANT, _FIND, keys)


def found_in(rows: Sequence[bulk.Row]) -> dict[ids.OrderRef, OrderSnapshot]:
    """Return the orders in the answer to `query_of`."""
    found = map(_snapshot, rows)
    return {ids.OrderRef(order.merchant_id, order.order_id): order for order in found}


def lock(connection: sa.Connection, order_keys: Sequence[int]) -> dict[int, OrderSnapshot]:
    """Return the orders and lock their rows. `order_keys` are sorted."""
    query = (
        f"SELECT {_SNAPSHOT} FROM {{w}} CROSS JOIN orders t"  # noqa: S608 - our own names
        " ON t.order_key = {w.order_key}"
    )
    rows = bulk.select(connection, _BY_KEY, query, [(key,) for key in order_keys], lock=True)
    return {order.order_key: order for order in map(_snapshot, rows)}


def lock_named(
    connection: sa.Connection, refs: Sequence[ids.OrderRef]
) -> dict[ids.OrderRef, OrderSnapshot]:
    """Return those of the orders that are recorded and lock their rows. `refs` are sorted.

    An order that another transaction is about to record is waited for.
    """
    return found_in(bulk.select(connection, *query_of(refs), lock=True))


def lock_with_digest(
    connection: sa.Connection, claims: Sequence[Claim]
) -> dict[int, OrderSnapshot]:
    """Lock the orders of the claims, each with the digest of the fact that was logged for it.

    The claims are sorted, one per order.
    """
    query = (
        f"SELECT {_SNAPSHOT}, l.digest FROM {{w}} CROSS JOIN orders t"  # noqa: S608 - our own names
        " ON t.order_key = {w.order_key} LEFT JOIN order_log l ON l.order_key = t.order_key"
        " AND l.stage = {w.stage} AND l.event_id = {w.event_id}"
    )
    rows = bulk.select(connection, _CLAIM, query, claims, lock=True)
    return {order.order_key: order for order in map(_snapshot, rows)}


_ORDER_STATES = {state.value: state for state in OrderState}
_CHARGE_STATES = {state.value: state for state in ChargeState}
_STOCK_STATES = {state.value: state for state in StockState}
_ON_DECLINE = {choice.value: choice for choice in OnDecline}
"""Looked up: calling an Enum costs five times as much."""


def _snapshot(row: bulk.Row) -> OrderSnapshot:
    key, merchant_id, order_id, body_hash, state, charge, stock, version, kept, *digest = row
    return OrderSnapshot(
        order_key=key,
        merchant_id=merchant_id,
        order_id=order_id,
        body_hash=body_hash,
        state=_ORDER_STATES[state],
        charge_state=_CHARGE_STATES[charge],
        stock_state=_STOCK_STATES[stock],
        version=version,
        on_decline=_ON_DECLINE[kept],
        digest=digest[0] if digest else None,
    )


def add(connection: sa.Connection, orders: Sequence[NewOrder]) -> awaited.Added:
    """Insert orders and their lines.

    Raises:
        Conflict: another instance recorded one of them; repeat the whole transaction.
    """
    conflict = "another instance recorded an order at the same time"
    rows = [_new_row(order) for order in orders]
    bulk.insert_deferred(connection, ORDERS, _NEW_COLUMNS, rows, conflict)
    names = [ids.OrderRef(order.placed.merchant_id, order.placed.order_id) for order in orders]
    added = awaited.find_added(connection, names)
    keys = list(added.keys.values())
    pairs = zip(keys, orders, strict=True)
    lines.add(connection, [(key, order.priced) for key, order in pairs if order.priced])
    refused = [
        refusals.Refused(key, order.reason, order.explanation)
        for key, order in zip(keys, orders, strict=True)
    ]
    refusals.add(connection, refused)
    return added


_NEW_COLUMNS = (
    "merchant_id",
    "order_id",
    "store_id",
    "terminal_id",
    "body_hash",
    "state",
    "charge_state",
    "stock_state",
    "version",
    "currency",
    "gross_minor",
    "discount_minor",
    "net_minor",
    "tax_minor",
    "total_minor",
    "channel",
    "on_decline",
    "price_policy",
    "customer_id",
    "shift_id",
    "cashier_id",
    "sold_at_us",
    "business_day",
    "placed_at_us",
    "updated_at_us",
    "due_at_us",
    "trace_id",
)
_NOTHING = (0, 0, 0, 0, 0)


def _new_row(order: NewOrder) -> bulk.Values:
    placed, priced = order.placed, order.priced
    amounts, price_policy = _NOTHING, PricePolicy.CHECKED
    if priced:
        price_policy = priced.price_policy
        amounts = (
            priced.gross_minor,
            priced.discount_minor,
            priced.net_minor,
            priced.tax_minor,
            priced.total_minor,
        )
    return (
        placed.merchant_id,
        placed.order_id,
        placed.store_id,
        placed.terminal_id,
        placed.body_hash,
        order.state,
        ChargeState.NONE,
        order.stock_state,
        SECOND_VERSION,
        order.currency,
        *amounts,
        placed.channel,
        placed.on_decline,
        price_policy,
        placed.customer_id,
        placed.shift_id,
        placed.cashier_id,
        placed.sale_at_us,
        order.business_day,
        placed.placed_at_us,
        order.at_us,
        order.due_at_us,
        placed.trace_id,
    )


FIRST_VERSION = 1
"""PLACED."""
SECOND_VERSION = 2
"""ACCEPTED or REJECTED, by the order stage."""


def move(connection: sa.Connection, moves: Sequence[Transition]) -> None:
    """Take each order one version further, from the version that it was read at.

    Raises:
        Conflict: an order moved under this transaction; repeat the whole of it.
    """
    _move(connection, _MOVED, [m for m in moves if m.amounts is None])
    _move(connection, (*_MOVED, *_AMOUNTS), [m for m in moves if m.amounts])


def _move(connection: sa.Connection, names: tuple[str, ...], moves: Sequence[Transition]) -> None:
    rows = [
        (
            m.order_key,
            m.state,
            m.charge_state,
            m.stock_state,
            m.from_version + 1,
            m.due_at_us,
            m.at_us,
            m.receipt_no,
            *(msgspec.structs.astuple(m.amounts) if m.amounts else ()),
            m.from_version,
        )
        for m in moves
    ]
    shape = bulk.shape_of(ORDERS, *names, from_version=ORDERS.c.version)
    changes = bulk.assign(*names[1:])
    bulk.update_deferred(connection, ORDERS, shape, ("order_key",), changes, rows, UNMOVED)
    refused = [refusals.Refused(m.order_key, m.reason, m.explanation) for m in moves]
    refusals.add(connection, refused)


def log(connection: sa.Connection, entries: Sequence[LogEntry]) -> None:
    """Append to the order log, which claims the events.

    Raises:
        Conflict: another instance has claimed one of them; repeat the whole transaction.
    """
    rows = [
        (
            e.order_key,
            e.stage,
            e.event_id,
            e.version,
            e.state,
            e.reason,
            (text := codec.encode(e.fact)).decode(),
            facts.digest(text),
            e.at_us,
        )
        for e in entries
    ]
    conflict = "another instance claimed an event at the same time"
    bulk.insert_deferred(connection, ORDER_LOG, tuple(ORDER_LOG.c.keys()), rows, conflict)


def find_claims(
    connection: sa.Connection, claims: Sequence[Claim]
) -> dict[Claim, tuple[int, messages.Fact]]:
    """Return (version, fact) of those events that were logged before."""
    rows = bulk.select(
        connection,
        _CLAIM,
        "SELECT t.order_key, t.stage, t.event_id, t.version, t.fact FROM {w} CROSS JOIN order_log t"
        " ON t.order_key = {w.order_key} AND t.stage = {w.stage} AND t.event_id = {w.event_id}",
        claims,
    )
    return {(row[0], row[1], row[2]): (row[3], codec.decode(row[4])) for row in rows}
