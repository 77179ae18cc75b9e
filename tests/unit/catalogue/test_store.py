"""The catalogue in the database: saved or replaced as a whole, and read for a batch of orders."""

from collections.abc import Iterable

import msgspec
import pytest
import sqlalchemy as sa

from internal.catalogue import store
from internal.catalogue.messages import Product, RoundingPoint, Store, TaxCategory, TaxRate
from internal.kernel import texts
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice
from tests.support import skus

BERLIN = Store(
    merchant_id="m-1",
    store_id="berlin",
    name="Berlin",
    currency="EUR",
    rounding_mode=RoundingMode.HALF_EVEN,
    rounding_point=RoundingPoint.DOCUMENT,
)
TOKYO = Store(merchant_id="m-1", store_id="tokyo", name="東京", currency="JPY")
REDUCED = TaxRate(
    merchant_id="m-1", tax_code="reduced", code="VAT", name="7 %", rate_ppm=70_000, inclusive=True
)
SALES = TaxRate(
    merchant_id="m-1",
    tax_code="sales",
    code="sales",
    name="8.875 %",
    rate_ppm=88_750,
    inclusive=False,
)
TEA = Product(
    merchant_id="m-1",
    sku="tea",
    name="Tea",
    unit_price=UnitPrice(1_000),
    currency="EUR",
    tax_code="reduced",
)
CUP = Product(
    merchant_id="m-1",
    sku="cup",
    name="Cup",
    unit_price=UnitPrice(25_005, 2),
    currency="EUR",
    tax_code="sales",
    active=False,
)


@pytest.fixture
def connection(any_database: sa.Connection) -> sa.Connection:
    """A catalogue of two merchants, the second with equal ids."""
    for merchant_id in ("m-1", "m-2"):
        as_of = {"merchant_id": merchant_id}
        store.save_stores(
            any_database, [msgspec.structs.replace(it, **as_of) for it in (TOKYO, BERLIN)]
        )
        rates = [msgspec.structs.replace(it, **as_of) for it in (SALES, REDUCED)]
        store.add_tax_rates(any_database, rates)
        store.save_products(
            any_database, [msgspec.structs.replace(it, **as_of) for it in (TEA, CUP)]
        )
    return any_database


def test_a_catalogue_is_read_as_it_was_saved(connection: sa.Connection) -> None:
    assert store.list_stores(connection, "m-1") == [BERLIN, TOKYO]
    assert without_keys(store.list_tax_rates(connection, "m-1")) == [REDUCED, SALES]
    assert store.list_products(connection, "m-1", "", 10) == [CUP, TEA]


def test_an_unknown_merchant_has_no_catalogue(connection: sa.Connection) -> None:
    assert store.list_stores(connection, "m-3") == []
    assert store.list_tax_rates(connection, "m-3") == []
    assert store.list_products(connection, "m-3", "", 10) == []


def test_one_store_is_found_by_its_id(connection: sa.Connection) -> None:
    assert store.find_store(connection, "m-1", "berlin") == BERLIN
    assert store.find_store(connection, "m-1", "nowhere") is None
    assert store.find_store(connection, "m-3", "berlin") is None


def test_a_tax_code_is_used_by_the_products_that_name_it(connection: sa.Connection) -> None:
    assert store.is_tax_code_used(connection, "m-1", "sales")
    assert not store.is_tax_code_used(connection, "m-1", "nothing")
    assert not store.is_tax_code_used(connection, "m-3", "sales")


def test_saving_again_replaces_what_has_the_same_id(connection: sa.Connection) -> None:
    dearer = msgspec.structs.replace(
        TEA, unit_price=UnitPrice(1_100), name="Better tea", active=False
    )
    new = msgspec.structs.replace(TEA, sku="pot")
    store.save_products(connection, [dearer, new])
    moved = msgspec.structs.replace(BERLIN, rounding_mode=RoundingMode.DOWN)
    store.save_stores(connection, [moved])
    assert store.list_products(connection, "m-1", "", 10) == [CUP, new, dearer]
    assert store.list_stores(connection, "m-1") == [moved, TOKYO]
    assert store.list_products(connection, "m-2", "", 10)[1].unit_price == UnitPrice(1_000)


def test_a_new_rate_stands_beside_the_old_one(connection: sa.Connection) -> None:
    raised = msgspec.structs.replace(SALES, rate_ppm=90_000, inclusive=True, valid_from_us=7)
    city = msgspec.structs.replace(
        SALES, code="city", category=TaxCategory.ZERO, jurisdiction="US-NY"
    )
    store.add_tax_rates(connection, [raised, city])
    assert without_keys(store.list_tax_rates(connection, "m-1")) == [REDUCED, SALES, city, raised]
    rates = store.load_snapshot(connection, {("m-1", "berlin")}, ()).tax_rates["m-1", "sales"]
    assert without_keys(rates) == [SALES, raised, city]
    keys = [it.tax_rate_key for it in rates]
    assert keys == sorted(set(keys))


def test_a_tax_has_one_rate_from_an_instant_on(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        store.add_tax_rates(connection, [msgspec.structs.replace(SALES, rate_ppm=90_000)])


def without_keys(rates: Iterable[TaxRate]) -> list[TaxRate]:
    return [msgspec.structs.replace(it, tax_rate_key=0) for it in rates]


def test_products_are_listed_page_by_page(connection: sa.Connection) -> None:
    assert store.list_products(connection, "m-1", "", 1) == [CUP]
    assert store.list_products(connection, "m-1", "cup", 1) == [TEA]
    assert store.list_products(connection, "m-1", "tea", 1) == []


def test_a_snapshot_has_the_requested_rows_and_all_rates_of_the_merchants(
    connection: sa.Connection,
) -> None:
    snapshot = store.load_snapshot(
        connection,
        {("m-1", "berlin"), ("m-1", "nowhere"), ("m-3", "berlin")},
        {("m-1", "cup"), ("m-1", "nothing"), ("m-2", "tea")},
    )
    assert snapshot.stores == {("m-1", "berlin"): BERLIN}
    assert snapshot.products == {
        ("m-1", "cup"): CUP,
        ("m-2", "tea"): msgspec.structs.replace(TEA, merchant_id="m-2"),
    }
    rates = {code: without_keys(it) for code, it in snapshot.tax_rates.items()}
    assert rates == {("m-1", "reduced"): [REDUCED], ("m-1", "sales"): [SALES]}


def test_ids_differ_by_case(connection: sa.Connection) -> None:
    """MySQL's default collation would find `tea` for `TEA`."""
    snapshot = store.load_snapshot(connection, {("m-1", "Berlin")}, {("m-1", "TEA")})
    assert (snapshot.stores, snapshot.products) == ({}, {})


def test_a_snapshot_of_nothing_is_empty(connection: sa.Connection) -> None:
    snapshot = store.load_snapshot(connection, set(), set())
    assert (snapshot.stores, snapshot.products, snapshot.tax_rates) == ({}, {}, {})


def test_a_snapshot_of_a_large_batch_is_complete(connection: sa.Connection) -> None:
    """More products than one statement can have bound values for."""
    many = [msgspec.structs.replace(TEA, sku=f"sku-{number:05}") for number in range(20_000)]
    store.save_products(connection, many)
    wanted = {(it.merchant_id, it.sku) for it in many}
    snapshot = store.load_snapshot(connection, {("m-1", "berlin")}, wanted)
    assert snapshot.products.keys() == wanted


def test_skus_compare_byte_by_byte(connection: sa.Connection) -> None:
    """No database folds case, accents, widths or blanks, or trips over a quote."""
    products = [msgspec.structs.replace(TEA, sku=sku, name=sku) for sku in skus.ALIKE]
    assert [it for it in skus.ALIKE if not texts.is_sku(it)] == []
    store.save_products(connection, products)
    store.save_products(connection, products[::2])
    listed = [it.sku for it in store.list_products(connection, "m-1", "", 1_000)]
    assert listed == sorted([*skus.ALIKE, "cup", "tea"])
    for first, second in zip(skus.ALIKE[::2], skus.ALIKE[1::2], strict=True):
        for sku, other in ((first, second), (second, first)):
            [found] = store.load_snapshot(connection, (), {("m-1", sku)}).products.values()
            assert (found.sku, found.name) == (sku, sku)
            assert sku not in {it.sku for it in store.list_products(connection, "m-1", sku, 1_000)}
            assert other != found.sku
