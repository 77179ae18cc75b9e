"""Reads an engine's database directly: its shop, its orders' ends, and every invariant.

Only reads, one snapshot per question, while the engine runs. Works only on the engine's machine; a
run against a remote server cannot verify its database.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.auth import store as auth_store
from internal.catalogue import store as catalogue_store
from internal.checks import findings, invariants
from internal.infra import backends, db, settings
from internal.infra.data_folder import files
from internal.infra.embedded_bus import store as embedded_bus_store
from internal.inventory import store as inventory_store
from internal.kernel import errors, ids, quantities, states
from internal.lab.workload import outcomes, shop
from internal.ledger import store as ledger_store
from internal.orders import refusals
from internal.orders import store as order_store
from internal.payments.gateways import registry

PRODUCTS_MAX = 10_000
SCARCE_BELOW_MILLI = 100_000
"""A product with a smaller stock in some store is scarce."""


class Sums(msgspec.Struct, frozen=True):
    """All debits and all credits of a ledger in one currency."""

    debit_minor: int = 0
    credit_minor: int = 0


class Checked(NamedTuple):
    """The findings of a check, and sums for the report."""

    findings: Sequence[findings.Finding]
    ledger: Mapping[str, Sums]
    """By currency."""
    on_hand: int
    """Units of all products in all stores."""

    @property
    def is_ok(self) -> bool:
        """Tell whether every invariant holds."""
        return not self.findings

    def texts(self) -> list[str]:
        """Return the findings, one line each."""
        return [
            f"{it.invariant}: {it.sentence} ({it.count} times not: {'; '.join(it.examples)})"
            for it in self.findings
        ]

    def broken(self, invariant: str) -> int:
        """Count the findings of one invariant."""
        return sum(1 for finding in self.findings if finding.invariant == invariant)


class Records:
    """The records of one merchant in an engine's database."""

    def __init__(self, options: settings.Settings, api_key: str) -> None:
        self.options, self._api_key = options, api_key
        self._folder = options.storage.data_dir

    async def shop(self) -> shop.Shop:
        """Return the merchant's shop.

        Raises:
            Misconfigured: the database is missing, the key is unknown, or nothing is for sale.
        """
        return await self._read(lambda connection: _shop(connection, self._merchant(connection)))

    async def ends(self) -> dict[str, outcomes.End]:
        """Return the ends of the merchant's orders that have ended, by order id.

        Raises:
            Misconfigured: as for shop.
        """
        return await self._read(lambda connection: _ends(connection, self._merchant(connection)))

    async def newest_message(self) -> int:
        """Return the number of the newest message of an embedded engine's topics.

        Raises:
            Misconfigured: as for shop.
        """
        return await self._read(embedded_bus_store.newest)

    async def check(self, acknowledged: Iterable[str]) -> Checked:
        """Check every invariant; the orders in `acknowledged` must have ended.

        Raises:
            Misconfigured: as for shop.
        """
        captured = registry.captured_by_key(self.options) or {}

        def look(connection: sa.Connection) -> Checked:
            merchant_id = self._merchant(connection)
            found = invariants.check(
                connection,
                captured_at_gateway=captured,
                acknowledged=[ids.OrderRef(merchant_id, order_id) for order_id in acknowledged],
            )
            return _with_sums(connection, merchant_id, found)

        return await self._read(look)

    def _merchant(self, connection: sa.Connection) -> str:
        merchant_id = auth_store.merchant_of(connection, self._api_key)
        if merchant_id is None:
            raise errors.Misconfigured(f"the API key is not one of those in {self._folder}")
        return merchant_id

    async def _read(self, work: db.Work[db.T]) -> db.T:
        path = self._folder / files.DATABASE
        if self.options.storage.engine == "embedded" and not path.is_file():
            raise errors.Misconfigured(f"there is no database {path}")
        database = backends.open_database(self.options, readers=1)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.close)
            return await database.read(work)


def _shop(connection: sa.Connection, merchant_id: str) -> shop.Shop:
    stores = catalogue_store.list_stores(connection, merchant_id)
    products = catalogue_store.list_products(connection, merchant_id, "", PRODUCTS_MAX)
    currency = stores[0].currency if stores else ""
    store_ids = tuple(store.store_id for store in stores if store.currency == currency)
    lowest = _lowest_stock(connection, merchant_id, store_ids)
    sells = shop.Shop(
        currency,
        store_ids,
        tuple(
            shop.Item(
                product.sku,
                product.unit_price.scaled,
                product.active,
                lowest.get(product.sku, 0) < SCARCE_BELOW_MILLI,
            )
            for product in products
            if product.currency == currency and product.unit_price.scale == 0
        ),
    )
    return shop.checked(sells, f"the shop of {merchant_id}")


def _ends(connection: sa.Connection, merchant_id: str) -> dict[str, outcomes.End]:
    o = order_store.ORDERS.c
    columns = (o.order_id, o.state, refusals.REASON, o.placed_at_us, o.updated_at_us)
    query = sa.select(*columns).select_from(refusals.WITH_ORDERS)
    ended = o.state.in_([str(state) for state in states.ORDER_TERMINAL])
    rows = connection.execute(query.where(o.merchant_id == merchant_id, ended))
    return {row[0]: outcomes.End(states.OrderState(row[1]), *row[2:]) for row in rows}


def _lowest_stock(
    connection: sa.Connection, merchant_id: str, store_ids: Sequence[str]
) -> dict[str, int]:
    """Return for each sku what is available in the store that has least of it, in thousandths."""
    available: dict[str, dict[str, int]] = {}
    for key, level in inventory_store.list_levels(connection, merchant_id):
        available.setdefault(key.sku, {})[key.location_id] = level.available_milli
    return {
        sku: min(levels.get(store_id, 0) for store_id in store_ids)
        for sku, levels in available.items()
    }


def _with_sums(
    connection: sa.Connection, merchant_id: str, found: Sequence[findings.Finding]
) -> Checked:
    levels = inventory_store.list_levels(connection, merchant_id)
    return Checked(
        found,
        _ledger(connection, merchant_id),
        sum(level.on_hand_milli for _, level in levels) // quantities.MILLI,
    )


def _ledger(connection: sa.Connection, merchant_id: str) -> dict[str, Sums]:
    ledger: dict[str, Sums] = {}
    for balance in ledger_store.find_balances(connection, merchant_id):
        before = ledger.get(balance.currency, Sums())
        ledger[balance.currency] = Sums(
            before.debit_minor + balance.debit_minor, before.credit_minor + balance.credit_minor
        )
    return ledger
