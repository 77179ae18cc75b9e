"""What the list of undecided payments says of each."""

import pytest

from internal.cli.commands import payments
from internal.payments.messages import AttemptState, Operation
from internal.stages.payment_review import Undecided


def undecided(state: AttemptState, answered_minor: int = 0, currency: str = "") -> Undecided:
    return Undecided(
        order_key=1,
        merchant_id="m-1",
        order_id="o-1",
        attempt_no=1,
        operation=Operation.SALE,
        tender_no=1,
        asked_minor=1_000,
        currency="EUR",
        answered_minor=answered_minor,
        answered_currency=currency,
        attempt_key="m-1/o-1/1",
        state=state,
        tries=0,
        asked_at_us=0,
        next_check_us=None,
    )


@pytest.mark.parametrize(
    ("state", "minor", "currency", "text"),
    [
        (AttemptState.UNKNOWN, 0, "", "SALE UNKNOWN"),
        (AttemptState.DIFFERENT, 600, "EUR", "SALE DIFFERENT: it took 6.00 EUR"),
        (AttemptState.DIFFERENT, 1_000, "JPY", "SALE DIFFERENT: it took 1000 JPY"),
        (AttemptState.DIFFERENT, 1_000, "", "SALE DIFFERENT: it took 1000 of no currency"),
        (AttemptState.DIFFERENT, 1_000, "XX", "SALE DIFFERENT: it took 1000 of no currency"),
    ],
)
def test_another_amount_is_told(state: AttemptState, minor: int, currency: str, text: str) -> None:
    assert payments.what_of(undecided(state, minor, currency)) == text
