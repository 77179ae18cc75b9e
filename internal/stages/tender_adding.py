"""AddTender: a tender is added to an open order, which the payment stage then plans anew.

Records the tender only; its charge, or the movement of its cash, follows from the plan.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from internal.kernel import ids
from internal.kernel.states import ChargeState
from internal.orders import changes, messages, rules, store, tender_rules
from internal.payments import order_tenders
from internal.payments import rules as payment_rules
from internal.payments import store as payments_store
from internal.payments.charges import TenderAmounts
from internal.payments.messages import Tender
from internal.payments.outcomes import Outcome, PaymentRecord, TenderOutcome
from internal.pricing.messages import Refusal
from internal.privacy import store as privacy_store
from internal.privacy.messages import values_of
from internal.stages import cancellation, open_orders, payment_plans

TENDERS_MAX = 100
"""Tenders of one order, declined ones too."""
Additions = Sequence[tuple[messages.Asked, store.OrderSnapshot]]


def refusal_of(order: store.OrderSnapshot) -> str:
    """Return why an order takes no tender in its state; "" if it does."""
    return "" if order.is_open else rules.NOT_OPEN


def add(connection: sa.Connection, additions: Additions, now_us: int) -> list[cancellation.Change]:
    """Record the tenders that their orders can take; the orders' rows are locked."""
    keys = [order.order_key for _, order in additions]
    accepted = changes.newest_accepted(connection, keys)
    pairs = [(accepted[order.order_key], order) for _, order in additions]
    opened = open_orders.load(connection, pairs, now_us)
    histories = payments_store.histories(connection, keys)
    found = []
    new: list[PaymentRecord] = []
    tokens: list[privacy_store.Held] = []
    for (asked, order), (fact, _) in zip(additions, pairs, strict=True):
        of_order = opened[order.order_key]
        payment = payment_plans.payment_of(fact, order, of_order)
        history = histories.get(order.order_key, payment_plans.NO_HISTORY)
        left_minor = payment_rules.left_minor(payment, history.attempts)
        tender = _settled(asked.command, payment, left_minor, of_order)
        found.append(_change(order, tender))
        if not isinstance(tender, Refusal):
            new.append(_record(fact, of_order, (*payment.tenders, tender)))
            values = values_of(asked.private)
            tokens.append(privacy_store.Held(order.order_key, order.merchant_id, values))
    order_tenders.add(connection, new, now_us)
    privacy_store.add(connection, privacy_store.Subject.ORDER, tokens, now_us)
    return found


def _settled(
    command: messages.Requested,
    payment: payment_rules.Payment,
    left_minor: int,
    opened: open_orders.OpenOrder,
) -> Tender | Refusal:
    """Return the tender with its amounts, or why the order does not take it."""
    assert isinstance(command, messages.AddTender)  # noqa: S101 - the table of commands says so
    if payment.ending is not None:
        return Refusal(rules.NOT_OPEN, "")
    if command.currency != payment.currency:
        return Refusal("CURRENCY_MISMATCH", "")
    if command.tender.tender_ref in {it.tender_ref for it in payment.tenders}:
        return Refusal("TENDER_REF_REUSED", "")
    if len(payment.tenders) >= TENDERS_MAX:
        return Refusal("TOO_MANY_TENDERS", "")
    return tender_rules.add(command.tender, left_minor, payment.currency, opened.store)


def _change(order: store.OrderSnapshot, tender: Tender | Refusal) -> cancellation.Change:
    refusal = tender.reason if isinstance(tender, Refusal) else ""
    return cancellation.Change(order, None, refusal=refusal)


def _record(
    accepted: messages.OrderAccepted, opened: open_orders.OpenOrder, tenders: Sequence[Tender]
) -> PaymentRecord:
    """Return all tenders of an order as if nothing had become of them; the new ones are written."""
    found = tuple(
        TenderOutcome(number, tender, TenderAmounts(), ChargeState.NONE)
        for number, tender in enumerate(tenders, start=1)
    )
    return PaymentRecord(
        order_key=accepted.order_key,
        merchant_id=accepted.merchant_id,
        store_id=accepted.store_id,
        currency=accepted.currency,
        business_day=opened.business_day,
        outcome=Outcome(found, (), TenderAmounts(), ChargeState.NONE),
        tenders_before=len(opened.tenders),
        moved_before=0,
    )


def keys_of(
    connection: sa.Connection, added: Sequence[messages.AddTender]
) -> dict[ids.OrderRef, int]:
    """Return the keys of the orders that these are about, where there are such orders."""
    refs = list(dict.fromkeys(ids.OrderRef(it.merchant_id, it.order_id) for it in added))
    found = store.find(connection, refs) if refs else {}
    return {ref: order.order_key for ref, order in found.items()}
