"""The sums and the digest of the ledger's entries, per business day of each store.

The digest is a sum over the entries, so that those of an order that arrives late can be added to
it. Writes nothing.
"""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from internal.checks import findings, ledger
from internal.checks.ledger import Sums
from internal.checks.scope import NOT_SEALED, OF_ORDER, Scope
from internal.ledger import rules
from internal.ledger import store as ledger_store

WINDOW_SOURCES = 5_000
"""Orders whose entries are in memory at the same time."""
DIGEST_BYTES = 16
DIGEST_END = 1 << (8 * DIGEST_BYTES)


class Day(NamedTuple):
    """A business day of a store; the store is empty for accounts of the merchant."""

    merchant_id: str
    store_id: str
    business_day: int


class Totals(msgspec.Struct):
    """What was booked on a business day."""

    entries: int = 0
    digest: int = 0
    sums: dict[int, Sums] = msgspec.field(default_factory=dict)
    """By account_key."""

    def add(self, row: Any) -> None:  # noqa: ANN401 - a row of _ENTRIES
        """Count an entry."""
        amount = row.amount_minor
        moved = Sums(max(amount, 0), max(-amount, 0))
        self.entries += 1
        self.digest = (self.digest + _digest_of(row)) % DIGEST_END
        self.sums[row.account_key] = self.sums.get(row.account_key, Sums()).plus(moved)


def text_of(digest: int) -> str:
    """Return a digest as it is stored."""
    return f"{digest:0{2 * DIGEST_BYTES}x}"


def _digest_of(row: Any) -> int:  # noqa: ANN401 - a row of _ENTRIES
    text = "/".join(map(str, row[:7]))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:DIGEST_BYTES])


def between(connection: sa.Connection, before: Scope, after: Scope) -> dict[Day, Totals]:
    """Return the totals of everything that the later of two seals adds."""
    late = () if before.is_everything else connection.execute(_LATE, before.parameters)
    of_days = _of_days(connection, before.sealed_day, after.sealed_day)
    return _totals(itertools.chain(of_days, late), after)


def sealed(connection: sa.Connection, scope: Scope) -> dict[Day, Totals]:
    """Return the totals of everything that a seal covers."""
    return _totals(_of_days(connection, -1, scope.sealed_day), scope)


def _totals(rows: Iterable[Any], scope: Scope) -> dict[Day, Totals]:
    """Add up, without the sales that were recorded after the seal."""
    totals: defaultdict[Day, Totals] = defaultdict(Totals)
    for row in rows:
        if row.source_kind != rules.SALE or row.source_key <= scope.sealed_upto:
            totals[Day(row.merchant_id, row.store_id, row.business_day)].add(row)
    return dict(totals)


def _of_days(connection: sa.Connection, after_day: int, upto_day: int) -> Iterator[Any]:
    entry = ledger_store.LEDGER_ENTRIES.c
    for day in ledger.days_after(connection, after_day):
        if day > upto_day:
            return
        for kind in connection.execute(_KINDS, {"day": day}).scalars().all():
            here = (entry.business_day == day) & (entry.source_kind == kind)
            windows = findings.windows(connection, entry.source_key, WINDOW_SOURCES, where=here)
            for window in windows:
                yield from connection.execute(_ENTRIES, {"day": day, "kind": kind, **window})


_COLUMNS = """
    e.business_day, e.source_kind, e.source_key, e.transaction_no, e.entry_no, e.account_key,
    e.amount_minor, a.merchant_id, a.store_id
"""
_KINDS = sa.text("SELECT DISTINCT source_kind FROM ledger_entries WHERE business_day = :day")
_ENTRIES = sa.text(
    f"""
    SELECT {_COLUMNS} FROM ledger_entries e JOIN accounts a ON a.account_key = e.account_key
    WHERE e.business_day = :day AND e.source_kind = :kind
      AND e.source_key > :after AND e.source_key <= :upto
    """  # noqa: S608 - our own columns
)
_LATE = sa.text(
    f"""
    SELECT {_COLUMNS} FROM orders o
      CROSS JOIN ledger_entries e ON e.business_day = o.business_day
        AND e.source_kind = '{rules.SALE}' AND e.{OF_ORDER}
      JOIN accounts a ON a.account_key = e.account_key
    WHERE o.order_key > :after AND o.business_day <= :sealed_day AND {NOT_SEALED}
    """  # noqa: S608 - our own columns
)
