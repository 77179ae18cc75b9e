"""`souk ledger`: shows the accounts. Must not write; the ledger is append-only."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa
import typer

from internal.cli import database
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import exit_codes, lazy_groups, output
from internal.console.options import AsJson
from internal.kernel import money
from internal.ledger import store
from internal.ledger.messages import Balance

app = lazy_groups.new()


class Sum(msgspec.Struct, frozen=True):
    """All accounts of one merchant and currency together."""

    merchant_id: str
    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def is_balanced(self) -> bool:
        """Tell whether debits equal credits, as they must."""
        return self.debit_minor == self.credit_minor


@app.callback()
def ledger() -> None:
    """Read the double-entry ledger."""


@app.command()
def balances(*, merchant: MerchantId = "", data: Data = None, as_json: AsJson = False) -> None:
    """Show every account, their sums, and whether debits equal credits.

    0 means that they do, 4 that they do not.
    """

    def find(connection: sa.Connection) -> list[Balance]:
        return store.find_balances(
            connection, merchants.require(connection, merchant) if merchant else ""
        )

    found = database.read(data, find)
    totals = sums(found)
    if as_json:
        output.as_json(_as_json(found, totals))
    else:
        _show(found, totals)
    if not all(total.is_balanced for total in totals):
        raise typer.Exit(exit_codes.ExitCode.CHECK_FAILED)


def sums(balances: Iterable[Balance]) -> list[Sum]:
    """Add up the accounts of each merchant and currency."""
    totals: dict[tuple[str, str], Sum] = {}
    for it in balances:
        place = it.merchant_id, it.currency
        before = totals.get(place, Sum(*place, 0, 0))
        totals[place] = Sum(
            *place, before.debit_minor + it.debit_minor, before.credit_minor + it.credit_minor
        )
    return [totals[place] for place in sorted(totals)]


def _as_json(balances: Iterable[Balance], totals: Sequence[Sum]) -> dict[str, object]:
    return {
        "accounts": [{"account": it.account, **_amounts(it)} for it in balances],
        "sums": [{**_amounts(total), "is_balanced": total.is_balanced} for total in totals],
        "is_balanced": all(total.is_balanced for total in totals),
    }


def _amounts(it: Balance | Sum) -> dict[str, str]:
    return {
        "merchant_id": it.merchant_id,
        "currency": it.currency,
        "debit": money.to_text(it.debit_minor, it.currency),
        "credit": money.to_text(it.credit_minor, it.currency),
        "balance": money.to_text(it.debit_minor - it.credit_minor, it.currency),
    }


def _show(balances: Sequence[Balance], totals: Sequence[Sum]) -> None:
    for total in totals:
        numbers = ["Debit", "Credit", "Balance"]
        title = f"{total.merchant_id}, {total.currency}"
        table = output.table("Account", *numbers, right=numbers, title=title)
        for it in balances:
            if (it.merchant_id, it.currency) == (total.merchant_id, total.currency):
                table.add_row(it.account, *_texts(it))
        table.add_section()
        table.add_row("Sum", *_texts(total), style="bold")
        output.terminal().print(table)
    balanced = all(total.is_balanced for total in totals)
    no = "the ledger does NOT balance"
    output.say(output.yes_or_no(good=balanced, yes="debits equal credits", no=no))


def _texts(it: Balance | Sum) -> tuple[str, str, str]:
    amounts = _amounts(it)
    return amounts["debit"], amounts["credit"], amounts["balance"]
