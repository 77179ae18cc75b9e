"""The next step of a payment, case by case; test_payment_model tests whole courses of events."""

import msgspec
import pytest

from internal.kernel.clock import US_PER_SECOND
from internal.payments import rules
from internal.payments.messages import (
    Attempt,
    AttemptState,
    Captured,
    Operation,
    Tender,
    TenderKind,
)
from tests.support import shop

AT_US = shop.NOW_US
CARD, CASH = shop.card(700), shop.cash(300)


def payment(*tenders: Tender) -> rules.Payment:
    return rules.Payment(order_key=7, name="m-1/o-1", currency="EUR", tenders=tenders)


def charge(
    state: AttemptState, *, tender_no: int = 1, attempt_no: int = 1, tries: int = 0
) -> Attempt:
    return Attempt(
        order_key=7,
        attempt_no=attempt_no,
        operation=Operation.SALE,
        tender_no=tender_no,
        asked_minor=700,
        currency="EUR",
        key=f"m-1/o-1/{attempt_no}",
        state=state,
        card_token="tok_ok",
        gateway_reference="ref" if state is AttemptState.SUCCEEDED else "",
        decline_code="no_funds" if state is AttemptState.DECLINED else "",
        tries=tries,
        updated_at_us=AT_US,
    )


def void(of: Attempt, state: AttemptState, *, attempt_no: int, tries: int = 0) -> Attempt:
    return msgspec.structs.replace(
        of,
        attempt_no=attempt_no,
        operation=Operation.VOID,
        key=f"m-1/o-1/{attempt_no}",
        parent_no=of.attempt_no,
        parent_key=of.key,
        state=state,
        tries=tries,
    )


def step(*attempts: Attempt, tenders: tuple[Tender, ...] = (CARD,), after_s: int = 0) -> object:
    now_us = AT_US + after_s * US_PER_SECOND
    return rules.next_step(payment(*tenders), attempts, now_us)


def test_first_every_tender_is_charged_under_its_own_key() -> None:
    call = step(tenders=(CASH, CARD, shop.card(200, tip=50)))
    assert isinstance(call, rules.Call)
    first, second = call.attempts
    assert (first.key, first.tender_no, first.asked_minor) == ("m-1/o-1/1", 2, 700)
    assert (second.key, second.tender_no, second.asked_minor) == ("m-1/o-1/2", 3, 250)
    assert {it.state for it in call.attempts} == {AttemptState.PENDING}


def test_cash_is_paid_without_an_attempt_once_all_sales_have_succeeded() -> None:
    cash = Tender(TenderKind.CASH, "c", 301, tip_minor=20, change_minor=7, rounding_minor=-1)
    assert step(tenders=(cash,)) == rules.Paid((Captured(TenderKind.CASH, 320, "", 20, -1),))
    pending = charge(AttemptState.PENDING, tender_no=2)
    assert step(pending, tenders=(cash, CARD)) == rules.Ask((pending,))


def test_an_order_that_costs_nothing_is_paid() -> None:
    assert step(tenders=()) == rules.Paid(())


def test_all_captured_is_paid() -> None:
    paid = step(charge(AttemptState.SUCCEEDED))
    assert paid == rules.Paid((Captured(TenderKind.CARD, 700, "ref"),))


def test_an_interrupted_call_is_asked_about_at_once() -> None:
    pending = charge(AttemptState.PENDING)
    assert step(pending) == rules.Ask((pending,))


@pytest.mark.parametrize(("tries", "after_s"), list(enumerate(rules.ASK_AFTER_S, start=1)))
def test_the_gateway_is_asked_about_an_unknown_charge_at_growing_intervals(
    tries: int, after_s: int
) -> None:
    unknown = charge(AttemptState.UNKNOWN, tries=tries)
    assert step(unknown, after_s=after_s - 1) == rules.Wait(AT_US + after_s * US_PER_SECOND)
    assert step(unknown, after_s=after_s) == rules.Ask((unknown,))


def test_an_unknown_charge_is_left_to_an_operator_in_the_end() -> None:
    unknown = charge(AttemptState.UNKNOWN, tries=len(rules.ASK_AFTER_S) + 1)
    assert step(unknown, after_s=10**6) == rules.Wait(None)
    assert rules.needs_operator(rules.Wait(None))
    assert not rules.needs_operator(rules.Wait(AT_US))


@pytest.mark.parametrize(("tries", "after_s"), list(enumerate(rules.RETRY_AFTER_S, start=1)))
def test_a_charge_that_did_not_arrive_is_sent_again(tries: int, after_s: int) -> None:
    failed = charge(AttemptState.FAILED, tries=tries)
    assert step(failed, after_s=after_s - 1) == rules.Wait(AT_US + after_s * US_PER_SECOND)
    assert step(failed, after_s=after_s) == rules.Ask((failed,))


def test_a_charge_that_never_arrives_is_barred_before_the_order_is_refused() -> None:
    failed = charge(AttemptState.FAILED, tries=len(rules.RETRY_AFTER_S) + 1)
    call = step(failed)
    assert isinstance(call, rules.Call)
    (bar,) = call.attempts
    assert (bar.operation, bar.parent_key, bar.key) == (Operation.VOID, "m-1/o-1/1", "m-1/o-1/2")
    done = msgspec.structs.replace(bar, state=AttemptState.SUCCEEDED)
    assert step(failed, done) == rules.Declined("")


def test_a_declined_charge_refuses_the_order() -> None:
    assert step(charge(AttemptState.DECLINED)) == rules.Declined("no_funds")


def test_a_declined_charge_voids_the_others_first() -> None:
    declined = charge(AttemptState.DECLINED)
    captured = charge(AttemptState.SUCCEEDED, tender_no=2, attempt_no=2)
    call = step(declined, captured, tenders=(CARD, CARD))
    assert isinstance(call, rules.Call)
    assert [attempt.parent_key for attempt in call.attempts] == ["m-1/o-1/2"]
    assert [attempt.asked_minor for attempt in call.attempts] == [700]


def test_a_declined_charge_waits_for_the_result_of_the_others() -> None:
    declined = charge(AttemptState.DECLINED)
    unknown = charge(AttemptState.UNKNOWN, tender_no=2, attempt_no=2, tries=1)
    assert step(declined, unknown, tenders=(CARD, CARD), after_s=5) == rules.Ask((unknown,))


def test_what_the_others_hold_is_voided_before_an_unknown_one_is_decided() -> None:
    declined = charge(AttemptState.DECLINED)
    unknown = charge(AttemptState.UNKNOWN, tender_no=2, attempt_no=2, tries=99)
    captured = charge(AttemptState.SUCCEEDED, tender_no=2, attempt_no=3)
    failed = charge(AttemptState.FAILED, tender_no=3, attempt_no=4, tries=1)
    call = step(declined, unknown, captured, failed, tenders=(CARD,) * 4)
    assert isinstance(call, rules.Call)
    assert [attempt.parent_key for attempt in call.attempts] == ["m-1/o-1/3", "m-1/o-1/4"]
    done = [msgspec.structs.replace(it, state=AttemptState.SUCCEEDED) for it in call.attempts]
    after = (declined, unknown, captured, failed, *done)
    assert step(*after, tenders=(CARD,) * 4) == rules.Wait(None)


@pytest.mark.parametrize("decided", [AttemptState.DECLINED, AttemptState.SUCCEEDED])
def test_an_order_is_refused_as_soon_as_the_unknown_one_is_decided(decided: AttemptState) -> None:
    declined = charge(AttemptState.DECLINED)
    known = charge(decided, tender_no=2, attempt_no=2, tries=4)
    found = step(declined, known, tenders=(CARD, CARD))
    if decided is AttemptState.SUCCEEDED:
        assert isinstance(found, rules.Call)
        void_of_it = msgspec.structs.replace(found.attempts[0], state=AttemptState.SUCCEEDED)
        found = step(declined, known, void_of_it, tenders=(CARD, CARD))
    assert found == rules.Declined("no_funds")


def test_no_attempt_waits_for_the_appointment_of_another() -> None:
    late = charge(AttemptState.UNKNOWN, tries=5)
    soon = charge(AttemptState.FAILED, tender_no=2, attempt_no=2, tries=1)
    both = {"tenders": (CARD, CARD)}
    assert step(late, soon, after_s=1, **both) == rules.Wait(AT_US + 2 * US_PER_SECOND)
    assert step(late, soon, after_s=2, **both) == rules.Ask((soon,))
    assert step(late, soon, after_s=3_600, **both) == rules.Ask((late, soon))


def test_an_appointment_counts_from_the_last_call_of_its_own_attempt() -> None:
    late = charge(AttemptState.UNKNOWN, tries=5)
    new_us = AT_US + 3_000 * US_PER_SECOND
    soon = msgspec.structs.replace(
        charge(AttemptState.FAILED, tender_no=2, attempt_no=2, tries=3), updated_at_us=new_us
    )
    assert step(late, soon, tenders=(CARD, CARD), after_s=3_600) == rules.Ask((late, soon))


def test_one_that_is_left_to_an_operator_holds_up_no_other() -> None:
    left = charge(AttemptState.UNKNOWN, tries=len(rules.ASK_AFTER_S) + 1)
    unknown = charge(AttemptState.UNKNOWN, tender_no=2, attempt_no=2, tries=1)
    assert step(left, unknown, tenders=(CARD, CARD), after_s=5) == rules.Ask((unknown,))
    assert step(left, unknown, tenders=(CARD, CARD)) == rules.Wait(AT_US + 5 * US_PER_SECOND)


def test_cash_beside_a_declined_card_was_never_taken() -> None:
    declined = charge(AttemptState.DECLINED, tender_no=2)
    assert step(declined, tenders=(CASH, CARD)) == rules.Declined("no_funds")


def test_another_amount_than_was_asked_for_is_left_to_an_operator() -> None:
    different = charge(AttemptState.DIFFERENT)
    assert step(different, after_s=10**6) == rules.Wait(None)


def test_another_amount_is_voided_if_the_order_cannot_be_paid() -> None:
    different = charge(AttemptState.DIFFERENT)
    declined = charge(AttemptState.DECLINED, tender_no=2, attempt_no=2)
    call = step(different, declined, tenders=(CARD, CARD))
    assert isinstance(call, rules.Call)
    assert [attempt.parent_no for attempt in call.attempts] == [1]
    done = msgspec.structs.replace(call.attempts[0], state=AttemptState.SUCCEEDED)
    ended = step(different, declined, done, tenders=(CARD, CARD))
    assert ended == rules.Declined("no_funds")


def test_a_void_is_repeated_forever() -> None:
    declined = charge(AttemptState.DECLINED)
    captured = charge(AttemptState.SUCCEEDED, tender_no=2, attempt_no=2)
    failed = void(captured, AttemptState.FAILED, attempt_no=3, tries=99)
    again = step(declined, captured, failed, tenders=(CARD, CARD), after_s=60)
    assert again == rules.Ask((failed,))


def test_a_void_that_is_refused_is_left_to_an_operator() -> None:
    declined = charge(AttemptState.DECLINED)
    captured = charge(AttemptState.SUCCEEDED, tender_no=2, attempt_no=2)
    refused = void(captured, AttemptState.DECLINED, attempt_no=3)
    assert step(declined, captured, refused, tenders=(CARD, CARD)) == rules.Wait(None)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (AttemptState.UNKNOWN, AttemptState.SUCCEEDED, AttemptState.SUCCEEDED),
        (AttemptState.SUCCEEDED, AttemptState.UNKNOWN, AttemptState.SUCCEEDED),
        (AttemptState.DECLINED, AttemptState.FAILED, AttemptState.DECLINED),
        (AttemptState.FAILED, AttemptState.UNKNOWN, AttemptState.UNKNOWN),
        (AttemptState.FAILED, AttemptState.FAILED, AttemptState.FAILED),
    ],
)
def test_of_two_results_the_more_certain_one_counts(
    first: AttemptState, second: AttemptState, kept: AttemptState
) -> None:
    (result,) = rules.most_certain([charge(first), charge(second)])
    assert result.state is kept


def test_results_of_different_attempts_are_all_kept() -> None:
    results = [charge(AttemptState.FAILED, attempt_no=no) for no in (1, 2)]
    assert rules.most_certain(results) == results
