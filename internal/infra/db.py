"""The database as a port.

A transaction is a plain function of a SQLAlchemy connection: `await db.write(record_orders)`. All
of it runs in one thread hop (SQLite: its one writer; MySQL: SQLAlchemy's async driver),
which measured several times cheaper than awaiting each statement. The transaction commits when the
function returns and rolls back when it raises; the function may run several times.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

METADATA = sa.MetaData()
"""Every room adds its tables here; Alembic's migrations are compared with it by a test."""


class Database(Protocol):
    """The database that holds the tables."""

    async def write(self, work: Work[T], *, is_quick: bool = False) -> T:
        """Run `work` in one transaction and commit.

        The whole transaction is repeated on a deadlock or a busy lock. `is_quick` promises that it
        takes some tens of milliseconds at most: an implementation may then run it on the loop.

        Raises:
            DatabaseAway: it cannot be reached, or stayed locked for longer than the retries last.
        """
        ...

    async def read(
        self, work: Work[T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> T:
        """Run `work` on one consistent snapshot; it must not write.

        `is_quick` promises that it only looks up a few rows by their keys, and that later rows may
        be newer than earlier ones: an implementation may then answer at once, without a snapshot.
        A statement that runs for longer than `limit_s` is ended by the database itself.

        Raises:
            DatabaseAway: as for write.
            TooMuchAtOnce: the limit was exceeded; the read was not repeated.
        """
        ...

    async def close(self) -> None:
        """Finish running transactions and disconnect."""
        ...
