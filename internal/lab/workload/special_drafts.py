"""Turns ordinary drafts into special ones: most are rejected by a stage or refused. Pure."""

from collections.abc import Callable, Sequence

from google.type import money_pb2

from internal.kernel.quantities import MILLI
from internal.lab.workload.random_drafts import DraftSource
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2

Draft = order_pb2.OrderDraft

NEVER_ENOUGH_MILLI = 1_000_000 * MILLI
TEST_CARD = "4" + 15 * "1"
"""The test card number that payment gateways document."""


def apply(source: DraftSource, kind: Kind, draft: Draft) -> None:
    """Change `draft` according to its kind; most kinds leave it as it is."""
    if kind in _CHANGES:
        _CHANGES[kind](source, draft)


def _add_scarce(source: DraftSource, draft: Draft) -> None:
    draft.lines.add(sku=source.rng.choice(source.scarce).sku, quantity_milli=MILLI)
    _give_what_is_due(draft)


def _add_inactive(source: DraftSource, draft: Draft) -> None:
    draft.lines.add(sku=source.rng.choice(source.inactive).sku, quantity_milli=MILLI)


def _add_unknown(_: DraftSource, draft: Draft) -> None:
    draft.lines.add(sku="no-such-product", quantity_milli=MILLI)


def _order_too_many(_: DraftSource, draft: Draft) -> None:
    draft.lines[0].quantity_milli = NEVER_ENOUGH_MILLI
    _give_what_is_due(draft)


def _give_what_is_due(draft: Draft) -> None:
    """Hand over exactly the cash that is due: a draft that costs more may have named too little."""
    tender = draft.tenders[-1]
    if tender.HasField("cash"):
        tender.cash.ClearField("given")


def _set_unknown_store(_: DraftSource, draft: Draft) -> None:
    draft.store_id = "no-such-store"


def _expect_another_price(source: DraftSource, draft: Draft) -> None:
    item = source.rng.choice(source.plenty)
    shown = source.amount(item.price_minor + 1)
    draft.lines.add(sku=item.sku, quantity_milli=MILLI, expected_price=shown)


def _underpay(source: DraftSource, draft: Draft) -> None:
    """Tender one minor unit for lines that cost at least two."""
    del draft.tenders[:]
    draft.tenders.add(cash=order_pb2.CashTender(), amount=source.amount(1))
    draft.ClearField("adjustments")
    for _ in range(2):
        draft.lines.add(sku=source.plenty[0].sku, quantity_milli=MILLI)


def _leave_open(_source: DraftSource, draft: Draft) -> None:
    del draft.tenders[:]
    draft.on_decline = order_pb2.ON_DECLINE_KEEP_OPEN
    draft.hold.FromSeconds(HOLD_S)


def _make_invalid(source: DraftSource, draft: Draft) -> None:
    source.rng.choice(_INVALID_CHANGES)(draft)


def _remove_lines(draft: Draft) -> None:
    del draft.lines[:]


def _remove_tenders(draft: Draft) -> None:
    del draft.tenders[:]


def _set_quantity_zero(draft: Draft) -> None:
    draft.lines[0].quantity_milli = 0


def _lowercase_currency(draft: Draft) -> None:
    draft.currency = draft.currency.lower()


def _put_spaces_into_store(draft: Draft) -> None:
    draft.store_id = "the store around the corner"


def _add_nanos(draft: Draft) -> None:
    amount = money_pb2.Money(currency_code=draft.currency, units=1, nanos=1)
    draft.tenders[0].amount.CopyFrom(amount)


def _leave_two_amounts_open(draft: Draft) -> None:
    del draft.tenders[:]
    for _ in range(2):
        draft.tenders.add(cash=order_pb2.CashTender())


def _put_card_number_into_note(draft: Draft) -> None:
    draft.note = f"the customer's card is {TEST_CARD}"


HOLD_S = 15
"""An order that is left open and never paid expires after so long."""
_CHANGES: dict[Kind, Callable[[DraftSource, Draft], None]] = {
    Kind.SCARCE: _add_scarce,
    Kind.SOLD_OUT: _order_too_many,
    Kind.INACTIVE: _add_inactive,
    Kind.UNKNOWN_SKU: _add_unknown,
    Kind.UNKNOWN_STORE: _set_unknown_store,
    Kind.PRICE_CHANGED: _expect_another_price,
    Kind.UNDERPAID: _underpay,
    Kind.OPEN: _leave_open,
    Kind.INVALID: _make_invalid,
}

_INVALID_CHANGES: Sequence[Callable[[Draft], None]] = (
    _remove_lines,
    _remove_tenders,
    _set_quantity_zero,
    _lowercase_currency,
    _put_spaces_into_store,
    _add_nanos,
    _leave_two_amounts_open,
    _put_card_number_into_note,
)
