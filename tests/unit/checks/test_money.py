"""The ledger balances per merchant and currency, for any entries and any window size."""

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.checks import money
from internal.infra import db
from tests.support import staged_orders
from tests.unit.checks import corruptions
from tests.unit.checks.good_database import Database

BALANCES = "debits equal credits, per merchant and currency"
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["sale", "refund"]),
        st.integers(1, 6),
        st.sampled_from(["m-1", "m-2"]),
        st.sampled_from(["EUR", "JPY"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(entries=ENTRIES, window=st.integers(1, 7))
def test_a_difference_is_found_per_merchant_and_currency(
    empty: sa.Connection, entries: list[tuple[str, int, str, str, int, int]], window: int
) -> None:
    table = db.METADATA.tables["ledger_entries"]
    names = ("source_kind", "source_key", "merchant_id", "currency", "debit_minor", "credit_minor")
    differences: Counter[tuple[str, str]] = Counter()
    with staged_orders.undone(empty), pytest.MonkeyPatch.context() as patch:
        patch.setattr(money, "WINDOW_TRANSACTIONS", window)
        for entry_no, entry in enumerate(entries):
            row = dict(zip(names, entry, strict=True))
            row |= {"entry_no": entry_no, "account": "a", "at_us": 0}
            empty.execute(table.insert().values(row))
            differences[entry[2], entry[3]] += entry[4] - entry[5]
        found = [it for it in money.check(empty) if it.sentence == BALANCES]
    wrong = {
        f"merchant_id={merchant_id} currency={currency} difference={difference}"
        for (merchant_id, currency), difference in differences.items()
        if difference
    }
    assert {example for finding in found for example in finding.examples} == wrong


@pytest.mark.parametrize("window_transactions", [1, 2, 5])
def test_windows_change_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, window_transactions: int
) -> None:
    monkeypatch.setattr(money, "WINDOW_TRANSACTIONS", window_transactions)
    assert money.check(database.connection) == []
    _, *statements = corruptions.CORRUPTIONS["credits that are wrong but balance in sum"]
    database.corrupt(*statements)
    (found,) = money.check(database.connection)
    assert (found.invariant, found.count) == ("I4", 2)


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


@pytest.mark.parametrize("account", ["gatewayXclearing", "GATEWAY_CLEARING", "gateway_clearing2"])
def test_an_account_with_a_similar_name_receives_nothing(database: Database, account: str) -> None:
    database.corrupt(
        "UPDATE ledger_entries SET account = '$account' WHERE account = 'gateway_clearing'",
        account=account,
    )
    assert "I3" in {finding.invariant for finding in money.check(database.connection)}
