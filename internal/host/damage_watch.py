"""A database whose damage ends the engine, whoever meets it first: a stage, the bus or a call."""

from collections.abc import Callable

from internal.infra import db
from internal.kernel import errors


class DamageWatch(db.Database):
    """Passes everything on to a database, and reports damage before it raises it."""

    def __init__(
        self, database: db.Database, report: Callable[[errors.DatabaseDamaged], None]
    ) -> None:
        self._database, self._report = database, report

    async def write(self, work: db.Work[db.T], *, is_quick: bool = False) -> db.T:
        """See Database.write."""
        try:
            return await self._database.write(work, is_quick=is_quick)
        except errors.DatabaseDamaged as error:
            self._report(error)
            raise

    async def read(
        self, work: db.Work[db.T], *, is_quick: bool = False, limit_s: float | None = None
    ) -> db.T:
        """See Database.read."""
        try:
            return await self._database.read(work, is_quick=is_quick, limit_s=limit_s)
        except errors.DatabaseDamaged as error:
            self._report(error)
            raise

    async def close(self) -> None:
        """See Database.close."""
        await self._database.close()
