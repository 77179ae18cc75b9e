"""An order as its merchant sees it, read from all its tables in one snapshot. Writes nothing."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import codec, messages, rules, store
from internal.orders import lines as order_lines
from internal.payments import order_tenders, outcomes
from internal.payments import store as payments_store
from internal.payments.messages import Attempt, OnDecline, Tender
from internal.payments.order_tenders import TenderRecord
from internal.pipeline import appointments
from internal.pricing import taxes
from internal.pricing.messages import PricedLine, TaxBucket
from internal.privacy import store as privacy_store
from internal.privacy.messages import EMPTY, NOTE


class TimelineEntry(msgspec.Struct, frozen=True):
    """An entry of the order log: its stage, the order's state and version after it, and why."""

    stage: str
    event_id: str
    version: int
    state: OrderState
    reason: str
    at_us: int
    fact: messages.Fact

    @property
    def is_step(self) -> bool:
        """Whether the order got this version by it, unlike by another order under its id."""
        return not self.event_id.startswith(messages.CONFLICT_EVENT)


class OrderView(msgspec.Struct, frozen=True):
    """A whole order. One that could not be priced has amounts of 0 and no lines.

    Its timeline ends at its version, also where it was read without a snapshot and the order moved
    on between two statements.
    """

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    terminal_id: str
    body_hash: str
    state: OrderState
    charge_state: ChargeState
    stock_state: StockState
    version: int
    currency: str
    gross_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int
    reason: str
    explanation: str
    receipt_no: int | None
    channel: messages.Channel
    customer_id: str
    shift_id: str
    cashier_id: str
    sold_at_us: int
    business_day: int
    placed_at_us: int
    updated_at_us: int
    due_at_us: int | None
    trace_id: str
    lines: tuple[PricedLine, ...]
    taxes: tuple[TaxBucket, ...]
    tenders: tuple[TenderRecord, ...]
    """With their amounts once the order is accepted, and as they were sent until then."""
    attempts: tuple[Attempt, ...]
    timeline: tuple[TimelineEntry, ...]
    next_commands: tuple[str, ...]
    on_decline: OnDecline = OnDecline.REFUSE
    hold_until_us: int = 0
    """When an order that is kept open expires, or would have."""
    left_minor: int = 0
    """Of an open order: what its tenders do not bring, and may not bring any more."""
    note: str = ""
    """The draft's note, until it is erased."""


def get(connection: sa.Connection, merchant_id: str, order_id: str) -> OrderView | None:
    """Return one order of this merchant, or None."""
    found = get_many(connection, [ids.OrderRef(merchant_id, order_id)])
    return found[0] if found else None


def get_many(connection: sa.Connection, orders: Sequence[ids.OrderRef]) -> list[OrderView]:
    """Return those of the orders that are recorded."""
    shape = bulk.shape_of(store.ORDERS, "merchant_id", "order_id")
    query = (
        "SELECT t.*, r.reason, r.explanation FROM {w} CROSS JOIN orders t"
        " ON t.merchant_id = {w.merchant_id} AND t.order_id = {w.order_id}"
        " LEFT JOIN order_refusals r ON r.order_key = t.order_key"
    )
    return _assemble(connection, bulk.select(connection, shape, query, orders))


def _assemble(connection: sa.Connection, rows: Sequence[bulk.Row]) -> list[OrderView]:
    keys = [row.order_key for row in rows]
    kept = [str(row.order_key) for row in rows if row.on_decline == OnDecline.KEEP_OPEN]
    (
        found_lines,
        found_parts,
        found_log,
        found_attempts,
        found_tenders,
        private,
        found_holds,
    ) = bulk.select_many(
        connection,
        [
            *order_lines.queries(keys),
            _rows_of(store.ORDER_LOG, keys),
            payments_store.attempts_query(keys),
            order_tenders.query(keys),
            privacy_store.query(privacy_store.Subject.ORDER, keys),
            appointments.query_of(messages.HOLD, kept),
        ],
    )
    lines = order_lines.read(found_lines, found_parts)
    log = _by_order(found_log, operator.attrgetter("version", "at_us"))
    attempts = payments_store.attempts_in(found_attempts)
    tenders = order_tenders.records_in(found_tenders)
    texts = privacy_store.found_in(private)
    ending = {it.subject for it in appointments.found_in(found_holds).values() if it.reason}
    views = [
        _view(
            row,
            lines.get(row.order_key, ()),
            tuple(_entry(it) for it in log.get(row.order_key, ()) if it.version <= row.version),
            attempts.get(row.order_key, ()),
            tenders.get(row.order_key, {}),
            texts.get(row.order_key, EMPTY).get(NOTE, ""),
        )
        for row in rows
    ]
    return [
        _open_view(view, is_ending=str(view.order_key) in ending)
        if view.on_decline is OnDecline.KEEP_OPEN
        else view
        for view in views
    ]


def _open_view(view: OrderView, *, is_ending: bool) -> OrderView:
    """Add what only an order that is kept open has."""
    ends = [it.fact.hold_until_us for it in view.timeline if isinstance(it.fact, _ACCEPTED)]
    is_open = view.state is OrderState.ACCEPTED
    live = [it.tender.amount_minor or 0 for it in view.tenders if it.state not in outcomes.ENDED]
    left_minor = view.total_minor - sum(live) if is_open else 0
    opened = rules.OpenPayment(left_minor, is_untouched=not live, is_ending=is_ending)
    return msgspec.structs.replace(
        view,
        hold_until_us=max(ends, default=0),
        left_minor=left_minor,
        next_commands=rules.next_commands(view.state, view.charge_state, opened),
    )


_ACCEPTED = messages.OrderAccepted


def _rows_of(table: sa.Table, keys: Sequence[int]) -> bulk.Query:
    query = (
        f"SELECT t.* FROM {{w}} CROSS JOIN {table.name} t"  # noqa: S608 - our own names
        " ON t.order_key = {w.order_key}"
    )
    return bulk.Query(bulk.shape_of(table, "order_key"), query, [(key,) for key in keys])


def _by_order(
    rows: Sequence[bulk.Row], order: Callable[[bulk.Row], Any]
) -> dict[int, list[bulk.Row]]:
    """Group rows by order, sorted here: MariaDB would sort long texts, such as facts, in a file."""
    found: dict[int, list[bulk.Row]] = {}
    for row in sorted(rows, key=order):
        found.setdefault(row.order_key, []).append(row)
    return found


def _entry(row: bulk.Row) -> TimelineEntry:
    return TimelineEntry(
        stage=row.stage,
        event_id=row.event_id,
        version=row.version,
        state=OrderState(row.state),
        reason=row.reason,
        at_us=row.at_us,
        fact=codec.decode(row.fact),
    )


def _view(
    row: bulk.Row,
    lines: tuple[PricedLine, ...],
    timeline: tuple[TimelineEntry, ...],
    attempts: tuple[Attempt, ...],
    recorded: dict[int, TenderRecord],
    note: str,
) -> OrderView:
    values = {name: getattr(row, name) for name in _COLUMNS}
    state, charge = OrderState(row.state), ChargeState(row.charge_state)
    values |= {
        "state": state,
        "charge_state": charge,
        "stock_state": StockState(row.stock_state),
        "channel": messages.Channel(row.channel),
        "on_decline": OnDecline(row.on_decline),
        "reason": row.reason or "",
        "explanation": row.explanation or "",
        "lines": lines,
        "timeline": timeline,
        "attempts": attempts,
        "note": note,
        "taxes": taxes.buckets_of(lines),
        "tenders": _tenders(timeline, recorded),
        "next_commands": rules.next_commands(state, charge),
    }
    return OrderView(**values)


_COLUMNS = [name for name in OrderView.__struct_fields__ if name in store.ORDERS.c]


def _tenders(
    timeline: Sequence[TimelineEntry], recorded: dict[int, TenderRecord]
) -> tuple[TenderRecord, ...]:
    """Return the tenders, as recorded where the payment has begun."""
    wanted: tuple[Tender, ...] = _fact_of(timeline, messages.OrderAccepted, "tenders") or _fact_of(
        timeline, messages.OrderPlaced, "tenders"
    )
    sent = {n: TenderRecord(tender_no=n, tender=it) for n, it in enumerate(wanted, start=1)}
    return tuple((sent | recorded).values())


def _fact_of(timeline: Sequence[TimelineEntry], kind: type, field: str) -> tuple[Any, ...]:
    for entry in timeline:
        if isinstance(entry.fact, kind):
            return tuple(getattr(entry.fact, field))
    return ()
