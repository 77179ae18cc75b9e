"""API keys from the database."""

from internal.auth import store
from internal.infra import db


class DatabaseKeys:
    """Looks API keys up. Implements authentication.Authenticator."""

    def __init__(self, database: db.Database, limit_s: float) -> None:
        self._database, self._limit_s = database, limit_s

    async def merchant_of(self, key: str) -> str | None:
        """See authentication.Authenticator."""
        return await self._database.read(
            lambda c: store.merchant_of(c, key), is_quick=True, limit_s=self._limit_s
        )
