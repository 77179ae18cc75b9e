"""The retention of answers: requests that are older than the setting are deleted, a few at a time.

Must not delete what moved money: that has rows of its own, which stay. Several processes may do
this: a row that is gone already is not missed.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from loguru import logger

from internal.infra import db, settings
from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND, Clock
from internal.privacy import store as privacy_store
from internal.requests import rules, store
from internal.requests.messages import RequestKey

S_PER_DAY = 86_400
LOOK_EVERY_S = 600.0
ROWS_AT_ONCE = 500
"""Rows in one transaction: their locks are held for a few milliseconds."""


class Options(msgspec.Struct, frozen=True):
    """How often old requests are looked for, and how old they are then."""

    interval_s: float
    kept_days: int


def options_of(chosen: settings.Settings) -> Options:
    """Return the options that the settings give."""
    return Options(LOOK_EVERY_S, chosen.janitor.requests_kept_days)


class Retention:
    """Deletes old requests."""

    def __init__(self, database: db.Database, clock: Clock, options: Options) -> None:
        self._database, self._clock, self._options = database, clock, options

    async def run(self) -> None:
        """Look again and again; while the database is away, nothing becomes too old."""
        while True:
            await asyncio.sleep(self._options.interval_s)
            try:
                await self.look()
            except errors.Temporary as error:
                logger.bind(seldom="retention").warning("old requests stay: {e!r}", e=error)

    async def look(self) -> int:
        """Delete all requests that are too old; return how many that were."""
        age_us = self._options.kept_days * S_PER_DAY * US_PER_SECOND
        before_us = self._clock.now_us() - age_us
        deleted = 0
        while keys := await self._database.read(
            lambda c: store.find_old(c, before_us, ROWS_AT_ONCE)
        ):
            deleted += await self._database.write(
                lambda c, keys=keys: _delete(c, keys, before_us)  # type: ignore[misc]
            )
        return deleted


def _delete(connection: sa.Connection, keys: Sequence[RequestKey], before_us: int) -> int:
    """Delete requests, and the reasons of those whose orders never came."""
    numbers = [rules.number_of(key) for key in keys]
    privacy_store.erase(connection, privacy_store.Subject.REQUEST, numbers)
    return store.delete(connection, keys, before_us)
