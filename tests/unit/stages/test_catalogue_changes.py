"""Products are saved under a new version of the catalogue, with events that name them."""

import msgspec
import pytest
import sqlalchemy as sa

from internal.auth import rules as auth_rules
from internal.auth import store as auth_store
from internal.auth.messages import Merchant
from internal.catalogue import store
from internal.catalogue.messages import Product, ProductsChanged
from internal.kernel.unit_prices import UnitPrice
from internal.pipeline import outbox
from internal.stages import catalogue_changes


@pytest.fixture
def connection(any_database: sa.Connection) -> sa.Connection:
    key = auth_rules.issue("a" * 12, "b" * 64)
    auth_store.add_merchant(any_database, Merchant("m-1", "A shop"), key, 1)
    return any_database


def products(number: int) -> list[Product]:
    return [
        Product("m-1", f"sku-{place:05d}", "A", UnitPrice(100), "EUR", "in")
        for place in range(number)
    ]


def events(connection: sa.Connection) -> list[ProductsChanged]:
    rows = connection.execute(sa.select(outbox.OUTBOX.c.fact).order_by(outbox.OUTBOX.c.outbox_key))
    return [msgspec.json.decode(text, type=ProductsChanged) for text in rows.scalars()]


def test_each_import_has_a_version(connection: sa.Connection) -> None:
    for number in (1, 2):
        catalogue_changes.save_products(connection, "m-1", products(number), 7)
    catalogue_changes.save_products(connection, "m-1", [], 8)
    assert [(it.catalogue_version, it.skus, it.at_us) for it in events(connection)] == [
        (1, ("sku-00000",), 7),
        (2, ("sku-00000", "sku-00001"), 7),
    ]
    assert len(store.list_products(connection, "m-1", "", 10)) == 2


def test_a_large_import_has_several_events_of_one_version(connection: sa.Connection) -> None:
    many = products(catalogue_changes.SKUS_MAX + 1)
    catalogue_changes.save_products(connection, "m-1", many, 7)
    first, second = events(connection)
    assert (first.catalogue_version, second.catalogue_version) == (1, 1)
    assert (*first.skus, *second.skus) == tuple(product.sku for product in many)
