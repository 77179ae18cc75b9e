"""Makes good drafts bad: for a stage to reject, or for the door to refuse. Pure."""

from collections.abc import Callable, Sequence

from google.type import money_pb2

from internal.lab.workload.random_drafts import Till, add_line
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2

Draft = order_pb2.OrderDraft

NEVER_ENOUGH = 1_000_000
TEST_CARD = "4" + 15 * "1"
"""The card number in every gateway's handbook."""


def spoil(till: Till, kind: Kind, draft: Draft) -> None:
    """Make `draft` what its kind says; most kinds leave it as it is."""
    if kind in _WAYS:
        _WAYS[kind](till, draft)


def _want_scarce(till: Till, draft: Draft) -> None:
    draft.lines.add(sku=till.chance.choice(till.scarce).sku, quantity=1)


def _want_inactive(till: Till, draft: Draft) -> None:
    draft.lines.add(sku=till.chance.choice(till.inactive).sku, quantity=1)


def _want_unknown(_: Till, draft: Draft) -> None:
    draft.lines.add(sku="no-such-product", quantity=1)


def _want_too_many(_: Till, draft: Draft) -> None:
    draft.lines[0].quantity = NEVER_ENOUGH


def _be_elsewhere(_: Till, draft: Draft) -> None:
    draft.store_id = "no-such-store"


def _show_other_price(till: Till, draft: Draft) -> None:
    item = till.chance.choice(till.plenty)
    shown = till.amount(item.price_minor + 1)
    draft.lines.add(sku=item.sku, quantity=1, expected_price=shown)


def _pay_too_little(till: Till, draft: Draft) -> None:
    """Pay one unit for what costs at least two."""
    del draft.tenders[:]
    draft.tenders.add(cash=order_pb2.CashTender(), amount=till.amount(1))
    draft.ClearField("discount")
    for _ in range(2):
        add_line(till, draft, till.plenty[0])


def _break(till: Till, draft: Draft) -> None:
    till.chance.choice(_BREAKS)(draft)


def _have_no_lines(draft: Draft) -> None:
    del draft.lines[:]


def _have_no_tenders(draft: Draft) -> None:
    del draft.tenders[:]


def _want_nothing(draft: Draft) -> None:
    draft.lines[0].quantity = 0


def _write_currency_small(draft: Draft) -> None:
    draft.currency = draft.currency.lower()


def _write_store_wide(draft: Draft) -> None:
    draft.store_id = "the store around the corner"


def _be_too_precise(draft: Draft) -> None:
    amount = money_pb2.Money(currency_code=draft.currency, units=1, nanos=1)
    draft.tenders[0].amount.CopyFrom(amount)


def _leave_two_open(draft: Draft) -> None:
    del draft.tenders[:]
    for _ in range(2):
        draft.tenders.add(cash=order_pb2.CashTender())


def _tell_card_number(draft: Draft) -> None:
    draft.note = f"the customer's card is {TEST_CARD}"


_WAYS: dict[Kind, Callable[[Till, Draft], None]] = {
    Kind.SCARCE: _want_scarce,
    Kind.SOLD_OUT: _want_too_many,
    Kind.INACTIVE: _want_inactive,
    Kind.UNKNOWN_SKU: _want_unknown,
    Kind.UNKNOWN_STORE: _be_elsewhere,
    Kind.PRICE_CHANGED: _show_other_price,
    Kind.UNDERPAID: _pay_too_little,
    Kind.INVALID: _break,
}

_BREAKS: Sequence[Callable[[Draft], None]] = (
    _have_no_lines,
    _have_no_tenders,
    _want_nothing,
    _write_currency_small,
    _write_store_wide,
    _be_too_precise,
    _leave_two_open,
    _tell_card_number,
)
