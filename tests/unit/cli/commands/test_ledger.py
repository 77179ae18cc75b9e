"""The sums under the ledger."""

from internal.cli.commands import ledger
from internal.ledger.messages import Balance


def test_each_merchant_and_currency_is_added_up_alone() -> None:
    found = [
        Balance("m", "cash", "EUR", 700, 200),
        Balance("m", "revenue", "EUR", 0, 500),
        Balance("m", "cash", "JPY", 3, 0),
        Balance("n", "cash", "EUR", 1, 1),
    ]
    assert ledger.sums(found) == [
        ledger.Sum("m", "EUR", 700, 700),
        ledger.Sum("m", "JPY", 3, 0),
        ledger.Sum("n", "EUR", 1, 1),
    ]
    assert [total.is_balanced for total in ledger.sums(found)] == [True, False, True]


def test_an_empty_ledger_has_no_sums() -> None:
    assert ledger.sums([]) == []
