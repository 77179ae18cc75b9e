"""Tenders, attempts, movements and orders agree, or the rule that is broken is named.

Corruptions that break nothing else are in corruptions.py.
"""

import pytest

from internal.checks import tenders
from tests.unit.checks.good_database import Database

ATTEMPTS = "a tender at the gateway that waits for no answer holds what its attempts captured"
MOVEMENTS = "a tender holds the sum of its movements"
ORDER_SUMS = "an order's row has the sums of its tenders"
IN_FULL = "a tender that is paid in full holds its amount, its tip and its rounding"


def broken(database: Database, *statements: str) -> set[str]:
    database.corrupt(*statements)
    return {finding.sentence for finding in tenders.check(database.connection)}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM payment_attempts WHERE order_key = $paid",
        "UPDATE payment_attempts SET answered_minor = answered_minor - 1 WHERE order_key = $paid",
        "UPDATE payment_attempts SET state = 'DECLINED' WHERE order_key = $paid",
        "UPDATE payment_attempts SET state = 'SUCCEEDED', answered_minor = 5"
        " WHERE operation = 'SALE' AND order_key = $declined",
    ],
    ids=["an attempt that was lost", "another amount", "declined", "never voided"],
)
def test_a_tender_that_its_attempts_contradict_is_found(database: Database, statement: str) -> None:
    assert broken(database, statement) == {ATTEMPTS}


def test_an_attempt_that_was_decided_while_its_tender_waits_is_no_contradiction(
    database: Database,
) -> None:
    """An operator decides on the attempt; the stage records the tender when it goes on."""
    decided = "UPDATE payment_attempts SET state = 'SUCCEEDED', answered_minor = asked_minor"
    assert not broken(database, f"{decided} WHERE order_key = $asked")


def test_a_capture_that_only_the_tender_shows_is_found(database: Database) -> None:
    more = "UPDATE order_tenders SET captured_minor = captured_minor + 1 WHERE order_key = $paid"
    assert broken(database, more) == {ATTEMPTS, MOVEMENTS, ORDER_SUMS, IN_FULL}


def test_a_refund_that_nothing_moved_is_found(database: Database) -> None:
    refund = "UPDATE order_tenders SET refunded_minor = 1 WHERE order_key = $sale"
    assert broken(database, refund) == {MOVEMENTS, ORDER_SUMS}
