"""Changes of a catalogue, each with a new version and its events, in the caller's transaction."""

from collections.abc import Sequence

import sqlalchemy as sa

from internal.auth import store as auth_store
from internal.catalogue import store
from internal.catalogue.messages import Product, ProductsChanged
from internal.pipeline import outbox

SKUS_MAX = 1_000
"""SKUs in one event: a message has 1 MiB at most, and a SKU 256 bytes."""


def save_products(
    connection: sa.Connection, merchant_id: str, products: Sequence[Product], now_us: int
) -> None:
    """Insert a merchant's products, or replace those that exist. Without products nothing changes.

    The merchant's row is locked, so that the events follow each other as the versions do.
    """
    if not products:
        return
    version = auth_store.next_catalogue_version(connection, merchant_id)
    store.save_products(connection, products)
    skus = [product.sku for product in products]
    events = [
        ProductsChanged(
            merchant_id=merchant_id,
            catalogue_version=version,
            skus=tuple(skus[start : start + SKUS_MAX]),
            at_us=now_us,
        )
        for start in range(0, len(skus), SKUS_MAX)
    ]
    outbox.add(connection, events, now_us)
