"""The door's port to API keys, over the database."""

from internal.auth import store
from internal.infra import db


class DatabaseKeys:
    """Knows API keys. Implements ports.Authenticator."""

    def __init__(self, database: db.Database) -> None:
        self._database = database

    async def merchant_of(self, key: str) -> str | None:
        """See ports.Authenticator."""
        return await self._database.read(lambda c: store.merchant_of(c, key), is_quick=True)
