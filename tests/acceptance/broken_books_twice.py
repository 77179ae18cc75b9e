"""A Souk that is broken on purpose: finalization books a sale that it has claimed before once more.

Everything else is the real engine. The claim in the order log exists to prevent that: the key of
the ledger's entries leads with the business day, and has a number for each transaction of an order.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from internal.ledger import accounts
from internal.ledger import rules as ledger_rules
from internal.ledger import store as ledger_store
from internal.orders import messages, store
from internal.stages import finalization

_repeat = finalization.repeat


def book_again(
    connection: sa.Connection, orders: Sequence[store.OrderSnapshot]
) -> dict[int, messages.OrderFinalized]:
    """Replace finalization.repeat."""
    claims = [
        (order.order_key, str(messages.LogStage.PAYMENT), messages.ACCEPTED_EVENT)
        for order in orders
    ]
    again = [
        msgspec.structs.replace(
            ledger_rules.book_sale(finalization._sale(fact, fact.at_us)),
            transaction_no=1 + _booked(connection, fact),
        )
        for _, fact in store.find_claims(connection, claims).values()
        if isinstance(fact, messages.OrderPaid)
    ]
    ledger_store.append(connection, again, accounts.KnownAccounts(), 0)
    return _repeat(connection, orders)


def _booked(connection: sa.Connection, fact: messages.OrderPaid) -> int:
    entry = ledger_store.LEDGER_ENTRIES.c
    of_order = (entry.business_day == fact.business_day) & (entry.source_key == fact.order_key)
    query = sa.select(sa.func.max(entry.transaction_no)).where(of_order)
    return connection.execute(query).scalar() or 0


def take_over() -> None:
    """Replace the real code."""
    finalization.repeat = book_again


if __name__ == "__main__":
    from internal.host import command

    take_over()
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
