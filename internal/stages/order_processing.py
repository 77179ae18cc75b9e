"""Order processing: claim, price, reserve stock, record. The claim is the order's unique key.

Works on a whole batch in the caller's transaction. Quotes use the same prices, so they answer the
same totals.
"""

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import CatalogueSnapshot, Store
from internal.infra import failpoints
from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.inventory.messages import NO_EXCHANGE, Demand, Exchange, Shortage, StockKey
from internal.kernel import errors, ids, local_days
from internal.kernel.states import OrderState, StockState
from internal.orders import messages, rules, store, tender_rules
from internal.payments.messages import Tender
from internal.pricing import rules as pricing_rules
from internal.pricing.messages import PricedOrder, PriceRequest, Refusal
from internal.privacy import store as privacy_store
from internal.privacy.messages import NOTHING, Private, values_of
from internal.stages import cancellation, open_orders

NAME = messages.LogStage.ORDER
Facts = tuple[messages.Fact, ...]
NewFact = messages.OrderAccepted | messages.OrderRejected | messages.OrderCancelled
_STATE_AFTER: dict[type, OrderState] = {
    messages.OrderAccepted: OrderState.ACCEPTED,
    messages.OrderRejected: OrderState.REJECTED,
    messages.OrderCancelled: OrderState.CANCELLED,
}


class PricedDraft(msgspec.Struct, frozen=True):
    """A new order with all that is decided about it before its stock is reserved."""

    placed: messages.OrderPlaced
    priced: PricedOrder | None
    business_day: int
    lines: tuple[messages.StockLine, ...] = ()
    tenders: tuple[Tender, ...] = ()
    hold_until_us: int = 0
    """When it expires, if it is kept open."""
    refusal: Refusal | None = None
    cancelled_by: str = ""
    """The id of the cancel request that came before it."""

    @property
    def is_accepted(self) -> bool:
        """Whether it goes on to its payment."""
        return self.refusal is None and not self.cancelled_by

    def demand(self) -> Demand:
        """Return what it needs of the stock: nothing unless it goes on."""
        lines = self.lines if self.is_accepted else ()
        quantities_milli = {line.sku: line.quantity_milli for line in lines}
        return Demand(self.placed.merchant_id, self.placed.store_id, quantities_milli)


def place(
    connection: sa.Connection,
    submissions: Sequence[messages.Submission],
    now_us: int,
    due_at_us: int,
    others: Exchange = NO_EXCHANGE,
) -> list[Facts]:
    """Record the new ones among the orders; return for each what is to be sent.

    Args:
        connection: in a transaction.
        submissions: as they were placed.
        now_us: the time.
        due_at_us: the deadline of the next stage.
        others: the stock that other orders of this transaction take and give up.

    Raises:
        Conflict: another instance changed the same rows; repeat the whole transaction.
    """
    if not submissions:
        _exchange(connection, inventory_rules.total(others.reserved), others)
        return []
    orders = [submission.placed for submission in submissions]
    refs = [_ref(order) for order in orders]
    known = store.find(connection, refs)
    failpoints.hit(f"{NAME}.after_claim")
    new = _first_of_each(orders, known)
    private = {id(placed): half for placed, half in submissions if half is not NOTHING}
    decided, reservations = _decide_and_add(
        connection, new, private, others.reserved, now_us, due_at_us
    )
    repeated = [order for order in orders if new.get(_ref(order)) is not order]
    again = _repeat(connection, repeated, now_us) if repeated else {}
    _exchange(connection, reservations, others)
    return [
        again[id(order)] if id(order) in again else (decided[ref],)
        for ref, order in zip(refs, orders, strict=True)
    ]


def _exchange(
    connection: sa.Connection, reservations: Mapping[StockKey, int], others: Exchange
) -> None:
    """Reserve and release stock, last of all: every order of the shop waits for these rows."""
    inventory_store.exchange(connection, reservations, inventory_rules.total(others.released))


def _first_of_each(
    orders: Sequence[messages.OrderPlaced], known: dict[ids.OrderRef, store.OrderSnapshot]
) -> dict[ids.OrderRef, messages.OrderPlaced]:
    new: dict[ids.OrderRef, messages.OrderPlaced] = {}
    for order in orders:
        ref = _ref(order)
        if ref not in known:
            new.setdefault(ref, order)
    return new


def _repeat(
    connection: sa.Connection, orders: Sequence[messages.OrderPlaced], now_us: int
) -> dict[int, Facts]:
    """Return the recorded fact for a retry, if the order has not changed since.

    Another body under the same id is only logged.
    """
    known = store.find(connection, [_ref(order) for order in orders])
    pairs = [(order, known[_ref(order)]) for order in orders]
    claims = [
        (k.order_key, NAME, event)
        for o, k in pairs
        for event in (messages.PLACED_EVENT, _conflict(o))
    ]
    logged = store.find_claims(connection, claims)
    again: dict[int, Facts] = {}
    conflicts: dict[store.Claim, store.LogEntry] = {}
    for order, recorded in pairs:
        version, fact = logged[recorded.order_key, NAME, messages.PLACED_EVENT]
        same = order.body_hash == recorded.body_hash
        again[id(order)] = (fact,) if same and version == recorded.version else ()
        claim = (recorded.order_key, NAME, _conflict(order))
        if not same and claim not in logged:
            conflicts[claim] = _conflict_entry(order, recorded, now_us)
    store.log(connection, list(conflicts.values()))
    return again


def _conflict(order: messages.OrderPlaced) -> str:
    return f"{messages.CONFLICT_EVENT}{order.body_hash}"


def _conflict_entry(
    order: messages.OrderPlaced, recorded: store.OrderSnapshot, now_us: int
) -> store.LogEntry:
    return store.LogEntry(
        order_key=recorded.order_key,
        stage=NAME,
        event_id=_conflict(order),
        version=recorded.version,
        state=recorded.state,
        reason="ORDER_ID_REUSED",
        fact=order,
        at_us=now_us,
    )


def _decide_and_add(
    connection: sa.Connection,
    new: dict[ids.OrderRef, messages.OrderPlaced],
    private: Mapping[int, Private],
    reserved: Sequence[Demand],
    now_us: int,
    due_at_us: int,
) -> tuple[dict[ids.OrderRef, messages.Fact], dict[StockKey, int]]:
    """Record new orders; return their facts, and the stock that is still to be reserved.

    `private` has the private half of an order by the fact's id(). `reserved` is what other orders
    take; it is to be reserved with the rest.
    """
    if not new:
        return {}, inventory_rules.total(reserved)
    snapshot = load_snapshot(connection, list(new.values()))
    drafts = [draft(order, snapshot) for order in new.values()]
    demands = [d.demand() for d in drafts]
    wanted = inventory_rules.total([*reserved, *demands])
    levels = inventory_store.levels_for(connection, wanted)
    shortages, reservations = inventory_rules.allocate(levels, demands, reserved)
    drafts = [_with_shortage(d, s) for d, s in zip(drafts, shortages, strict=True)]
    added, facts = _add(connection, drafts, now_us, due_at_us)
    _keep_apart(connection, facts, [d.placed for d in drafts], private, now_us)
    if any(d.cancelled_by for d in added):
        reservations = inventory_rules.total([*reserved, *(d.demand() for d in added)])
    return dict(zip(new, facts, strict=True)), reservations


def _add(
    connection: sa.Connection, drafts: Sequence[PricedDraft], now_us: int, due_at_us: int
) -> tuple[Sequence[PricedDraft], list[NewFact]]:
    """Insert orders and log their facts; those that cancel requests wait for are cancelled."""
    added = store.add(connection, [_new_order(d, now_us, due_at_us) for d in drafts])
    cancelled_by = cancellation.honour(connection, added, now_us)
    if cancelled_by:
        drafts = [_with_cancellation(d, cancelled_by.get(_ref(d.placed), "")) for d in drafts]
    facts = [_fact(d, added.keys[_ref(d.placed)], now_us) for d in drafts]
    _log(connection, drafts, facts, now_us)
    open_orders.add(connection, facts)
    return drafts, facts


def _keep_apart(
    connection: sa.Connection,
    facts: Sequence[NewFact],
    orders: Sequence[messages.OrderPlaced],
    private: Mapping[int, Private],
    now_us: int,
) -> None:
    """Record the private halves of new orders, where they can be erased."""
    held = [
        privacy_store.Held(fact.order_key, fact.merchant_id, values_of(private[id(placed)]))
        for fact, placed in zip(facts, orders, strict=True)
        if id(placed) in private
    ]
    privacy_store.add(connection, privacy_store.Subject.ORDER, held, now_us)


def refuse(
    connection: sa.Connection,
    orders: Sequence[messages.OrderPlaced],
    refusal: Refusal,
    now_us: int,
) -> list[NewFact]:
    """Record orders that are not recorded yet as refused; nothing is priced or reserved.

    Raises:
        Conflict: another instance recorded one of them; repeat the whole transaction.
    """
    stores = {(order.merchant_id, order.store_id) for order in orders}
    known = catalogue_store.load_snapshot(connection, stores, ()).stores
    drafts = [
        PricedDraft(order, None, business_day_of(order, known), refusal=refusal) for order in orders
    ]
    return _add(connection, drafts, now_us, now_us)[1]


def _ref(placed: messages.OrderPlaced) -> ids.OrderRef:
    return ids.OrderRef(placed.merchant_id, placed.order_id)


def load_snapshot(
    connection: sa.Connection, orders: Sequence[messages.OrderPlaced]
) -> CatalogueSnapshot:
    """Read all the catalogue that these orders name."""
    stores = {(order.merchant_id, order.store_id) for order in orders}
    products = {(order.merchant_id, line.sku) for order in orders for line in order.lines}
    return catalogue_store.load_snapshot(connection, stores, products)


def draft(placed: messages.OrderPlaced, snapshot: CatalogueSnapshot) -> PricedDraft:
    """Price an order and complete its tenders."""
    request = PriceRequest(
        merchant_id=placed.merchant_id,
        store_id=placed.store_id,
        currency=placed.currency,
        lines=placed.lines,
        sold_at_us=placed.sale_at_us,
        adjustments=placed.adjustments,
    )
    day = business_day_of(placed, snapshot.stores)
    priced = pricing_rules.price(request, snapshot)
    if isinstance(priced, Refusal):
        return PricedDraft(placed, None, day, refusal=priced)
    shop = snapshot.stores[placed.merchant_id, placed.store_id]
    tenders = tender_rules.settle_placed(placed, priced, shop)
    if isinstance(tenders, Refusal):
        return PricedDraft(placed, priced, day, refusal=tenders)
    lines = rules.stock_lines(priced)
    hold_until_us = open_orders.hold_until_us(placed, shop)
    return PricedDraft(placed, priced, day, lines, tenders, hold_until_us)


def business_day_of(placed: messages.OrderPlaced, stores: Mapping[tuple[str, str], Store]) -> int:
    """Return the business day of an order; in UTC where its store is unknown.

    Raises:
        Poison: no calendar has the instant of its sale.
    """
    found = stores.get((placed.merchant_id, placed.store_id))
    zone, cut_off_minutes = (found.time_zone, found.day_cut_off_minutes) if found else ("", 0)
    day_zone = local_days.zone_named(zone)
    try:
        return local_days.business_day(placed.sale_at_us, day_zone, cut_off_minutes)
    except OverflowError as error:
        raise errors.Poison("UNREADABLE_FACT", "no calendar has the instant of the sale") from error


def _with_shortage(d: PricedDraft, shortage: Shortage | None) -> PricedDraft:
    return msgspec.structs.replace(d, refusal=rules.explain_shortage(shortage)) if shortage else d


def _with_cancellation(d: PricedDraft, request_id: str) -> PricedDraft:
    return msgspec.structs.replace(d, cancelled_by=request_id) if request_id else d


def _new_order(d: PricedDraft, now_us: int, due_at_us: int) -> store.NewOrder:
    refusal = d.refusal
    return store.NewOrder(
        placed=d.placed,
        state=OrderState.REJECTED if refusal else OrderState.ACCEPTED,
        stock_state=StockState.NONE if refusal else StockState.RESERVED,
        currency=d.priced.currency if d.priced else d.placed.currency,
        business_day=d.business_day,
        priced=d.priced,
        reason=refusal.reason if refusal else "",
        explanation=refusal.explanation if refusal else "",
        due_at_us=None if refusal else due_at_us,
        at_us=now_us,
    )


def _fact(d: PricedDraft, order_key: int, now_us: int) -> NewFact:
    placed, priced = d.placed, d.priced
    if d.cancelled_by:
        version = store.SECOND_VERSION
        return cancellation.fact_of(placed, order_key, version, d.cancelled_by, now_us)
    if d.refusal or priced is None:
        return _rejected(d, order_key, now_us)
    return messages.OrderAccepted(
        order_key=order_key,
        merchant_id=placed.merchant_id,
        order_id=placed.order_id,
        store_id=placed.store_id,
        version=store.SECOND_VERSION,
        at_us=now_us,
        placed_at_us=placed.placed_at_us,
        currency=priced.currency,
        lines=d.lines,
        taxes=priced.taxes,
        tenders=d.tenders,
        gross_minor=priced.gross_minor,
        discount_minor=priced.discount_minor,
        net_minor=priced.net_minor,
        tax_minor=priced.tax_minor,
        total_minor=priced.total_minor,
        discount_net_minor=rules.net_discount(priced),
        trace_id=placed.trace_id,
        business_day=d.business_day,
        on_decline=placed.on_decline,
        hold_until_us=d.hold_until_us,
    )


def _rejected(d: PricedDraft, order_key: int, now_us: int) -> messages.OrderRejected:
    refusal = d.refusal or Refusal("", "")
    return messages.OrderRejected(
        order_key=order_key,
        merchant_id=d.placed.merchant_id,
        order_id=d.placed.order_id,
        store_id=d.placed.store_id,
        version=store.SECOND_VERSION,
        at_us=now_us,
        placed_at_us=d.placed.placed_at_us,
        stage=NAME,
        reason=refusal.reason,
        explanation=refusal.explanation,
        trace_id=d.placed.trace_id,
    )


def _log(
    connection: sa.Connection,
    drafts: Sequence[PricedDraft],
    facts: Sequence[NewFact],
    now_us: int,
) -> None:
    entries = []
    for d, fact in zip(drafts, facts, strict=True):
        entries += [
            store.LogEntry(
                order_key=fact.order_key,
                stage=messages.LogStage.INTAKE,
                event_id=messages.PLACED_EVENT,
                version=store.FIRST_VERSION,
                state=OrderState.PLACED,
                fact=d.placed,
                at_us=d.placed.placed_at_us,
            ),
            store.LogEntry(
                order_key=fact.order_key,
                stage=NAME,
                event_id=messages.PLACED_EVENT,
                version=fact.version,
                state=_STATE_AFTER[type(fact)],
                reason="" if d.cancelled_by else fact.refusal_code,
                fact=fact,
                at_us=now_us,
            ),
        ]
    store.log(connection, entries)
