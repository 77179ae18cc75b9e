"""The demo shop: plausible, always the same, and created once."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.auth import store as auth_store
from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import RoundingPoint
from internal.console import values
from internal.inventory import store as inventory_store
from internal.kernel import cards, ids
from internal.kernel.quantities import MILLI
from internal.seeds import demo_shop
from tests.support import staged_orders

NOW_US = 1_800_000_000_000_000


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as opened:
        yield opened


def seed(connection: sa.Connection) -> str | None:
    """Seed with real random tokens."""
    return demo_shop.seed(connection, NOW_US, ids.random_token)


def test_it_is_created_once(connection: sa.Connection) -> None:
    key = seed(connection)
    assert key
    assert auth_store.merchant_of(connection, key) == demo_shop.MERCHANT_ID
    assert seed(connection) is None
    assert auth_store.merchant_of(connection, key) == demo_shop.MERCHANT_ID


def test_it_is_created_quickly(connection: sa.Connection) -> None:
    started = time.process_time()
    seed(connection)
    assert time.process_time() - started < 1


def test_products() -> None:
    products = list(demo_shop.products())
    assert products == list(demo_shop.products())
    assert len({product.sku for product in products}) == len(products) == 205
    assert len({product.name for product in products}) == 205
    assert len({product.unit_price.scaled for product in products}) > 100
    assert all(values.ID.fullmatch(product.sku) for product in products)
    assert not any(cards.find_card_number(product.sku) for product in products)
    assert [product.sku for product in products if not product.active] == [demo_shop.INACTIVE_SKU]
    assert "COFFEE-250" in {product.sku for product in products}
    assert all(40 < product.unit_price.scaled < 50_000 for product in products)
    in_euros = [it for it in products if it.currency == demo_shop.CURRENCY]
    assert len(in_euros) == 200


def test_larger_sizes_and_later_varieties_cost_more() -> None:
    prices = {product.sku: product.unit_price.scaled for product in demo_shop.products()}
    for kind in ("COFFEE", "COFFEE-SUMATRA"):
        sizes = [prices[f"{kind}-{size}"] for size in ("250", "500", "1KG", "2KG")]
        assert sizes == sorted(set(sizes))
    assert prices["COFFEE-250"] < prices["COFFEE-HUILA-250"] < prices["COFFEE-SUMATRA-250"]


def test_taxes_of_both_kinds_are_in_use(connection: sa.Connection) -> None:
    seed(connection)
    rates = catalogue_store.list_tax_rates(connection, demo_shop.MERCHANT_ID)
    used = Counter(product.tax_code for product in demo_shop.products())
    assert {rate.tax_code for rate in rates} == set(used)
    assert sorted((rate.rate_ppm, rate.inclusive) for rate in rates) == [
        (26_000, True),
        (50_000, False),
        (70_000, False),
        (70_000, True),
        (81_000, True),
        (88_750, False),
        (190_000, True),
    ]
    taxes = Counter(rate.tax_code for rate in rates)
    assert [code for code, count in taxes.items() if count > 1] == [demo_shop.CANADIAN]


def test_stores_round_differently(connection: sa.Connection) -> None:
    seed(connection)
    stores = catalogue_store.list_stores(connection, demo_shop.MERCHANT_ID)
    assert {store.rounding_point for store in stores} == set(RoundingPoint)
    assert len({store.rounding_mode for store in stores}) == 2
    assert {store.cash_rounding_step_minor for store in stores} == {0, 5}


def test_every_store_sells_what_is_priced_in_its_currency(connection: sa.Connection) -> None:
    seed(connection)
    currencies = {it.store_id: it.currency for it in demo_shop.STORES}
    assert currencies == {"berlin": "EUR", "lisbon": "EUR", "vancouver": "CAD", "zurich": "CHF"}
    priced = {product.sku: product.currency for product in demo_shop.products()}
    levels = inventory_store.list_levels(connection, demo_shop.MERCHANT_ID)
    assert all(currencies[key.location_id] == priced[key.sku] for key, _ in levels)


def test_stock_is_plentiful_except_for_scarce_products(connection: sa.Connection) -> None:
    seed(connection)
    levels = inventory_store.list_levels(connection, demo_shop.MERCHANT_ID)
    assert len(levels) == 2 * 200 + 4 + 1
    scarce = {
        key.sku for key, level in levels if level.on_hand_milli == demo_shop.SCARCE_UNITS * MILLI
    }
    assert scarce == demo_shop.SCARCE_SKUS
    others = {level.on_hand_milli for key, level in levels if key.sku not in scarce}
    assert others == {demo_shop.PLENTY_UNITS * MILLI}
    moved = connection.execute(sa.text("SELECT SUM(quantity_milli) FROM stock_movements")).scalar()
    assert moved == sum(level.on_hand_milli for _, level in levels)
