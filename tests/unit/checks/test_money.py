"""Money is held for an order until it is voided."""

import pytest

from internal.checks import money
from tests.unit.checks.good_database import Database


@pytest.mark.parametrize("void_state", ["PENDING", "UNKNOWN", "DECLINED", "FAILED"])
def test_an_order_does_not_end_while_its_void_is_open(database: Database, void_state: str) -> None:
    database.corrupt(
        "UPDATE payment_attempts SET state = '$state'"
        " WHERE operation = 'VOID' AND order_key = $away",
        state=void_state,
    )
    found = [finding.sentence for finding in money.check(database.connection)]
    is_open = void_state in {"PENDING", "UNKNOWN"}
    verdict = "no order ends while the gateway's verdict on an attempt is missing"
    assert found == ([verdict] if is_open else [])


def test_an_order_ends_with_another_amount_only_if_it_was_voided(database: Database) -> None:
    different = "UPDATE payment_attempts SET state = 'DIFFERENT' WHERE operation = 'SALE'"
    database.corrupt(f"{different} AND order_key = $away")
    assert not money.check(database.connection)
    database.corrupt(f"{different} AND order_key = $declined")
    (found,) = money.check(database.connection)
    assert "verdict on an attempt" in found.sentence
