"""Quotes from the database: the order stage's own pricing, on the catalogue as it is now."""

import sqlalchemy as sa

from internal.catalogue import store as catalogue_store
from internal.infra import db
from internal.pricing import rules
from internal.pricing.messages import PricedOrder, PriceRequest, Refusal


class DatabaseQuotes:
    """Prices drafts. Implements ports.Quoter."""

    def __init__(self, database: db.Database, limit_s: float) -> None:
        self._database, self._limit_s = database, limit_s

    async def quote(self, request: PriceRequest) -> PricedOrder | Refusal:
        """See ports.Quoter."""

        def price(connection: sa.Connection) -> PricedOrder | Refusal:
            products = {(request.merchant_id, line.sku) for line in request.lines}
            stores = {(request.merchant_id, request.store_id)}
            return rules.price(request, catalogue_store.load_snapshot(connection, stores, products))

        return await self._database.read(price, limit_s=self._limit_s)
