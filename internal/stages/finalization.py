"""Finalization: stock sold, sale booked, receipt numbered.

Works on a whole batch in the caller's transaction.
"""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.inventory.messages import Demand, Movement, Reason, SourceKind
from internal.kernel.states import CHARGE_COMPLETE, OrderState, StockState
from internal.ledger import accounts, balances
from internal.ledger import rules as ledger_rules
from internal.ledger import store as ledger_store
from internal.ledger.messages import Sale
from internal.orders import messages, receipt_numbers, rules, store
from internal.payments import tenders

NAME = messages.LogStage.FINALIZATION


_O = store.ORDERS.c
IS_READY = (_O.state == OrderState.PAID) & _O.charge_state.in_(CHARGE_COMPLETE)
"""The condition of `is_ready` in SQL."""


def is_ready(order: store.OrderSnapshot) -> bool:
    """Tell whether the order is paid; the money of one that was given up is being returned."""
    return order.state is OrderState.PAID and order.charge_state in CHARGE_COMPLETE


def finalize(
    connection: sa.Connection,
    orders: Sequence[tuple[messages.OrderPaid, store.OrderSnapshot]],
    now_us: int,
    known: accounts.KnownAccounts,
) -> dict[int, messages.OrderFinalized]:
    """Bring paid orders to their end; return their facts by order_key.

    Args:
        connection: in a transaction.
        orders: what each of them was paid with, and its row, which is locked.
        now_us: the time.
        known: the ledger accounts that this process knows.

    Raises:
        Conflict: another instance changed the same rows; repeat the whole transaction.
    """
    paid = [fact for fact, _ in orders]
    demands = [rules.demand_of(fact) for fact in paid]
    inventory_store.add_movements(connection, _sales(paid, demands, now_us))
    _book(connection, paid, now_us, known)
    numbers = _number(connection, paid)
    facts = [_finalized(fact, order, numbers[fact.order_key], now_us) for fact, order in orders]
    store.move(connection, [_move(order, numbers[order.order_key], now_us) for _, order in orders])
    store.log(connection, [_entry(fact, now_us) for fact in facts])
    inventory_store.commit(connection, inventory_rules.total(demands))  # last: see order_processing
    return {fact.order_key: fact for fact in facts}


def repeat(
    connection: sa.Connection, orders: Sequence[store.OrderSnapshot]
) -> dict[int, messages.OrderFinalized]:
    """Return the recorded facts of orders that were finalized before."""
    claims = [(order.order_key, NAME, messages.PAID_EVENT) for order in orders]
    logged = store.find_claims(connection, claims)
    return {
        key: fact
        for (key, _, _), (_, fact) in logged.items()
        if isinstance(fact, messages.OrderFinalized)
    }


def _sales(
    paid: Sequence[messages.OrderPaid], demands: Sequence[Demand], now_us: int
) -> list[Movement]:
    return [
        Movement(
            business_day=fact.business_day,
            source_kind=SourceKind.ORDER,
            source_key=fact.order_key,
            movement_no=number,
            key=inventory_rules.key_of(demand, sku),
            reason=Reason.SALE,
            quantity_milli=-milli,
            happened_at_us=now_us,
            recorded_at_us=now_us,
        )
        for fact, demand in zip(paid, demands, strict=True)
        for number, (sku, milli) in enumerate(demand.quantities_milli.items(), start=1)
    ]


def _book(
    connection: sa.Connection,
    paid: Sequence[messages.OrderPaid],
    now_us: int,
    known: accounts.KnownAccounts,
) -> None:
    sales = [ledger_rules.book_sale(_sale(fact, now_us)) for fact in paid]
    if paid:
        shard = balances.shard_of(paid[0].merchant_id, paid[0].order_id)
        ledger_store.append(connection, sales, known, shard)


def _sale(fact: messages.OrderPaid, now_us: int) -> Sale:
    return Sale(
        order_key=fact.order_key,
        merchant_id=fact.merchant_id,
        store_id=fact.store_id,
        currency=fact.currency,
        business_day=fact.business_day,
        at_us=now_us,
        revenue_minor=fact.net_minor + fact.discount_net_minor,
        discount_minor=fact.discount_net_minor,
        taxes_minor=tuple((tax.code, tax.tax_minor) for tax in fact.taxes),
        received=tenders.received(fact.captured, fact.store_id),
        rounding_minor=sum(it.rounding_minor for it in fact.captured),
        tips_minor=sum(it.tip_minor for it in fact.captured),
    )


def _number(connection: sa.Connection, paid: Sequence[messages.OrderPaid]) -> dict[int, int]:
    """Give every order the next receipt number of its store, in the order of the batch."""
    stores = [(fact.merchant_id, fact.store_id) for fact in paid]
    following = receipt_numbers.take(connection, Counter(stores))
    numbers = {}
    for fact, place in zip(paid, stores, strict=True):
        numbers[fact.order_key] = following[place]
        following[place] += 1
    return numbers


def _finalized(
    fact: messages.OrderPaid, order: store.OrderSnapshot, receipt_no: int, now_us: int
) -> messages.OrderFinalized:
    return messages.OrderFinalized(
        order_key=fact.order_key,
        merchant_id=fact.merchant_id,
        order_id=fact.order_id,
        store_id=fact.store_id,
        version=order.version + 1,
        at_us=now_us,
        placed_at_us=fact.placed_at_us,
        currency=fact.currency,
        total_minor=fact.total_minor,
        receipt_no=receipt_no,
        trace_id=fact.trace_id,
    )


def _move(order: store.OrderSnapshot, receipt_no: int, now_us: int) -> store.Transition:
    return store.Transition(
        order_key=order.order_key,
        from_version=order.version,
        state=OrderState.FINALIZED,
        charge_state=order.charge_state,
        stock_state=StockState.COMMITTED,
        at_us=now_us,
        receipt_no=receipt_no,
    )


def _entry(fact: messages.OrderFinalized, now_us: int) -> store.LogEntry:
    return store.LogEntry(
        order_key=fact.order_key,
        stage=NAME,
        event_id=messages.PAID_EVENT,
        version=fact.version,
        state=OrderState.FINALIZED,
        fact=fact,
        at_us=now_us,
    )
