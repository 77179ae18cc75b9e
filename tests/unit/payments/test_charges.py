"""The charge state of any amounts, those included that cannot occur yet."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel.states import ChargeState
from internal.payments import charges
from internal.payments.charges import TenderAmounts

DUE = 1_000


def amounts(**minor: int) -> TenderAmounts:
    """Return amounts, by name without `_minor`."""
    return TenderAmounts(**{f"{name}_minor": value for name, value in minor.items()})


HELD = amounts(authorized=DUE)
PAID = amounts(authorized=DUE, captured=DUE)
CASES: list[tuple[ChargeState, list[TenderAmounts]]] = [
    (ChargeState.NONE, []),
    (ChargeState.NONE, [amounts()]),
    (ChargeState.PENDING, [amounts(pending=DUE)]),
    (ChargeState.PENDING, [amounts(captured=400), amounts(pending=600)]),
    (ChargeState.PENDING, [amounts(authorized=DUE, captured=DUE, pending=DUE)]),
    (ChargeState.ACTION_REQUIRED, [amounts(action=DUE)]),
    (ChargeState.ACTION_REQUIRED, [amounts(action=400), amounts(pending=600)]),
    (ChargeState.UNKNOWN, [amounts(unknown=DUE)]),
    (ChargeState.UNKNOWN, [amounts(unknown=1), amounts(action=400), PAID]),
    (ChargeState.PARTLY_AUTHORIZED, [amounts(authorized=400)]),
    (ChargeState.PARTLY_AUTHORIZED, [amounts(authorized=DUE, voided=1)]),
    (ChargeState.PARTLY_AUTHORIZED, [amounts(authorized=400), amounts(voided=600)]),
    (ChargeState.AUTHORIZED, [HELD]),
    (ChargeState.AUTHORIZED, [amounts(authorized=400), amounts(authorized=600)]),
    (ChargeState.PARTLY_CAPTURED, [amounts(captured=400)]),
    (ChargeState.PARTLY_CAPTURED, [amounts(authorized=DUE, captured=600)]),
    (ChargeState.PARTLY_CAPTURED, [amounts(authorized=DUE, captured=900, voided=100)]),
    (ChargeState.FULL, [PAID]),
    (ChargeState.FULL, [amounts(captured=400), amounts(captured=600)]),
    (ChargeState.FULL, [amounts(captured=1_300, refunded=300)]),
    (ChargeState.OVERCHARGED, [amounts(captured=1_001)]),
    (ChargeState.OVERCHARGED, [amounts(captured=1_300, refunded=299)]),
    (ChargeState.OUTSTANDING, [amounts(outstanding=DUE)]),
    (ChargeState.OUTSTANDING, [amounts(captured=400), amounts(outstanding=600)]),
    (ChargeState.PARTLY_CAPTURED, [amounts(captured=400), amounts(outstanding=599)]),
    (ChargeState.DECLINED, [amounts(declined=DUE)]),
    (ChargeState.DECLINED, [amounts(), amounts(declined=600)]),
    (ChargeState.VOIDED, [amounts(voided=DUE)]),
    (ChargeState.VOIDED, [amounts(authorized=400, voided=400), amounts(declined=600)]),
    (ChargeState.EXPIRED, [amounts(authorized=DUE, expired=DUE)]),
    (ChargeState.PARTLY_REFUNDED, [amounts(captured=DUE, refunded=1)]),
    (ChargeState.PARTLY_REFUNDED, [amounts(captured=400, refunded=400), amounts(captured=600)]),
    (ChargeState.REFUNDED, [amounts(captured=DUE, refunded=DUE)]),
    (ChargeState.REFUNDED, [amounts(captured=1_300, refunded=1_300)]),
    (ChargeState.DISPUTED, [amounts(captured=DUE, disputed=1)]),
    (ChargeState.DISPUTED, [amounts(captured=DUE, disputed=1), amounts(unknown=1)]),
]


@pytest.mark.parametrize(("expected", "tenders"), CASES)
def test_a_case(expected: ChargeState, tenders: list[TenderAmounts]) -> None:
    assert charges.charge_of(DUE, tenders) is expected


def test_every_state_has_a_case() -> None:
    assert {state for state, _ in CASES} == set(ChargeState)


def test_where_nothing_is_due_nothing_is_charged() -> None:
    assert charges.charge_of(0, []) is ChargeState.NONE
    assert charges.charge_of(0, [amounts(captured=1)]) is ChargeState.OVERCHARGED


ANY = st.builds(
    TenderAmounts,
    **{name: st.sampled_from([0, 0, 1, 400, 600]) for name in TenderAmounts.__struct_fields__},
)


@given(due=st.integers(0, 1_200), tenders=st.lists(ANY, max_size=3))
def test_the_order_of_the_tenders_does_not_matter(due: int, tenders: list[TenderAmounts]) -> None:
    found = {charges.charge_of(due, list(order)) for order in itertools.permutations(tenders)}
    assert len(found) == 1


@given(due=st.integers(1, 1_200), tenders=st.lists(ANY, max_size=3))
def test_full_is_exactly_what_is_due_and_certain(due: int, tenders: list[TenderAmounts]) -> None:
    if charges.charge_of(due, tenders) is ChargeState.FULL:
        assert sum(it.captured_minor - it.refunded_minor for it in tenders) == due
        doubts = [(it.unknown_minor, it.pending_minor, it.disputed_minor) for it in tenders]
        assert not any(map(any, doubts))
