"""Money is held for an order until it is voided."""

import pytest

from internal.checks import money
from tests.unit.checks.good_database import Database


@pytest.mark.parametrize("state", ["ACCEPTED", "PAID", "REJECTED", "CANCELLED"])
def test_a_voided_charge_is_not_held(database: Database, state: str) -> None:
    """A charge and its void add up to nothing, which only a paid order may not have."""
    database.corrupt(
        "INSERT INTO payment_attempts SELECT order_key, 8, 'CHARGE', 8, 'CARD', 500, currency,"
        " 'late', 'SUCCEEDED', '', '', '', '', 0, 0 FROM orders WHERE order_key = $cancelled",
        "INSERT INTO payment_attempts SELECT order_key, 9, 'VOID', 8, 'CARD', 500, currency,"
        " 'late-void', 'SUCCEEDED', '', 'late', '', '', 0, 0 FROM orders"
        " WHERE order_key = $cancelled",
        "UPDATE orders SET state = '$state' WHERE order_key = $cancelled",
        state=state,
    )
    found = [finding.sentence for finding in money.check(database.connection)]
    assert found == (["a paid order's captures are its total"] if state == "PAID" else [])


@pytest.mark.parametrize("void_state", ["PENDING", "UNKNOWN", "DECLINED", "FAILED"])
def test_a_charge_is_held_until_its_void_succeeds(database: Database, void_state: str) -> None:
    database.corrupt(
        "UPDATE payment_attempts SET state = '$state'"
        " WHERE kind = 'VOID' AND order_key = $declined",
        state=void_state,
    )
    found = [finding.sentence for finding in money.check(database.connection)]
    assert "a rejected or cancelled order holds no money" in found
    is_open = void_state in {"PENDING", "UNKNOWN"}
    assert len(found) == (2 if is_open else 1)
