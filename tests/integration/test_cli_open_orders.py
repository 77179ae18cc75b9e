"""`souk orders submit --keep-open` and `souk orders pay` beside a running engine."""

import re

from tests.integration import test_cli
from tests.integration.test_cli import LINE, Souk

data, bare, souk = test_cli.data, test_cli.bare, test_cli.souk
"""The fixtures of the engine, of the command alone, and of the command on the engine's data."""


def test_a_declined_card_and_then_cash_on_the_same_order(souk: Souk) -> None:
    kept = ("--keep-open", "--hold-minutes", "60", "--order-id", "table-7")
    opened = souk("orders", "submit", *LINE, *kept, "--wait")
    assert opened.code == 0
    assert "4.49 EUR left to pay; `souk orders pay table-7` adds a tender" in opened.words
    shown = souk("orders", "get", "table-7").words
    assert re.search(r"open until 20[-0-9]+ [:.0-9+-]+: 4\.49 EUR left to pay", shown)
    lines = ("--line", "COFFEE-250=2", "--request-id", "u-1")
    updated = souk("orders", "update", "table-7", *lines, "--expected-version", "2")
    assert (updated.code, "8.98 EUR left to pay" in updated.words) == (0, True)
    late = souk("orders", "update", "table-7", *LINE[2:], "--expected-version", "2")
    assert (late.code, "VERSION_MISMATCH" in late.err) == (1, True)
    declined = souk("orders", "pay", "table-7", "card:tok_declined:no", "--request-id", "p-1")
    assert declined.code == 1
    assert "p-1 DECLINED ACCEPTED" in declined.words
    assert souk("orders", "pay", "table-7", "cash=50", "--request-id", "p-2").code == 0
    again = souk("orders", "pay", "table-7", "cash=50", "--request-id", "p-2", "--json").json
    assert (again["replayed"], again["payment"]["tender"]["tender_ref"]) == (True, "p-2")
    assert souk("orders", "watch", "table-7").code == 0
    assert "ORDER_NOT_OPEN" in souk("orders", "pay", "table-7", "cash=1").err
