"""A change of the catalogue has a version, and is refused where it would falsify what was sold."""

from collections.abc import Callable

import msgspec
import pytest
import sqlalchemy as sa

from internal.auth import audit_log
from internal.auth import rules as auth_rules
from internal.auth import store as auth_store
from internal.auth.messages import Merchant
from internal.catalogue import store
from internal.catalogue.messages import Product, ProductsChanged, Store, TaxRate
from internal.kernel import errors
from internal.kernel.unit_prices import UnitPrice
from internal.ledger import business_days
from internal.pipeline import outbox
from internal.stages import catalogue_changes
from tests.support import shop, staged_orders
from tests.unit.reports import samples

HOUR_US = 3_600_000_000


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


BERLIN = Store("m-1", "berlin", "Berlin", "EUR")


def change(
    connection: sa.Connection, values: dict[str, object], now_us: int = shop.NOW_US
) -> Store:
    """Change the store in which the orders of the tests are sold."""
    before = store.find_store(connection, shop.MERCHANT, shop.STORE)
    assert before
    return catalogue_changes.change_store(connection, before, values, "ann", now_us)


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(errors.InvalidInput) as refused:
        attempt()
    return str(refused.value)


def test_a_store_is_made_once_and_everything_done_to_it_is_kept(connection: sa.Connection) -> None:
    catalogue_changes.create_store(connection, BERLIN, "ann", 7)
    again = refusal(lambda: catalogue_changes.create_store(connection, BERLIN, "ann", 8))
    assert "there is a store berlin already" in again
    bad = msgspec.structs.replace(BERLIN, store_id="bad", cash_rounding_step_minor=3)
    assert "no coin" in refusal(lambda: catalogue_changes.create_store(connection, bad, "ann", 8))
    other = msgspec.structs.replace(BERLIN, store_id="berlin:2", time_zone="Europe/Berlin")
    catalogue_changes.create_store(connection, other, "ann", 8)
    told = {"time_zone": "Asia/Tokyo", "hold_default_s": 60}
    after = catalogue_changes.change_store(connection, BERLIN, told, "bob", 9)
    assert after == msgspec.structs.replace(BERLIN, time_zone="Asia/Tokyo", hold_default_s=60)
    assert store.list_stores(connection, "m-1") == [after, other]
    made, changed = catalogue_changes.history_of_store(connection, after)
    assert (made.at_us, made.actor, made.action) == (7, "ann", "STORE_CREATED")
    assert (changed.at_us, changed.actor, changed.action) == (9, "bob", "STORE_CHANGED")
    assert changed.detail == "berlin: time_zone  -> Asia/Tokyo, hold_default_s 86400 -> 60"


def test_the_same_values_change_nothing(connection: sa.Connection) -> None:
    catalogue_changes.create_store(connection, BERLIN, "ann", 7)
    same = catalogue_changes.change_store(connection, BERLIN, {"name": "Berlin"}, "bob", 9)
    assert (same, len(catalogue_changes.history_of_store(connection, BERLIN))) == (BERLIN, 1)


def test_two_changes_of_one_store_do_not_undo_each_other(connection: sa.Connection) -> None:
    catalogue_changes.create_store(connection, BERLIN, "ann", 7)
    for values in ({"name": "Mitte"}, {"legal_entity": "Souk GmbH"}):
        catalogue_changes.change_store(connection, BERLIN, values, "bob", 9)
    expected = msgspec.structs.replace(BERLIN, name="Mitte", legal_entity="Souk GmbH")
    assert store.list_stores(connection, "m-1") == [expected]


@pytest.fixture
def sold(connection: sa.Connection) -> sa.Connection:
    """A store with a sale at 22:13 on 14 November, by its days in UTC."""
    shop.open_for_business(connection)
    staged_orders.StagedOrders(connection).carry(shop.placed("o"))
    return connection


def test_a_store_with_orders_keeps_its_currency(sold: sa.Connection) -> None:
    assert "its orders are in EUR" in refusal(lambda: change(sold, {"currency": "CHF"}))
    assert change(sold, {"price_policy": "TILL"}).price_policy == "TILL"


@pytest.mark.parametrize(
    ("zone", "cut_off_minutes", "from_us"),
    [
        ("Asia/Tokyo", 0, 0),
        ("America/Los_Angeles", 0, 0),
        ("America/Los_Angeles", 15 * 60, samples.us_of("2023-11-14T23:00:00+00:00")),
        ("", 23 * 60, samples.us_of("2023-11-14T23:00:00+00:00")),
    ],
)
def test_the_days_of_a_store_never_go_back(
    sold: sa.Connection, zone: str, cut_off_minutes: int, from_us: int
) -> None:
    """By a later cut-off it is the 13th still, on which a sale after that of the 14th would be."""
    told: dict[str, object] = {"time_zone": zone, "day_cut_off_minutes": cut_off_minutes}
    if from_us:
        said = refusal(lambda: change(sold, told))
        assert "before the newest one that is recorded" in said
        assert refusal(lambda: change(sold, told, from_us - 1)) == said
        assert ("T15:00:00-08:00" if zone else "T23:00:00+00:00") in said
    assert change(sold, told, from_us or shop.NOW_US).time_zone == zone


def test_entries_of_later_days_count_too(sold: sa.Connection) -> None:
    """The last instalment of a layaway is booked on its own day."""
    sold.exec_driver_sql("UPDATE orders SET business_day = 20231101")
    said = refusal(lambda: change(sold, {"day_cut_off_minutes": 23 * 60}))
    assert "from 2023-11-14T23:00:00+00:00 on" in said


def test_a_sealed_day_is_over_by_the_new_days_as_well(sold: sa.Connection) -> None:
    seal = {"merchant_id": "", "store_id": "", "business_day": 20231114, "state": "SEALED"}
    sold.execute(business_days.BUSINESS_DAYS.insert().values(seal))
    told: dict[str, object] = {"day_cut_off_minutes": 240}
    said = refusal(lambda: change(sold, told, shop.NOW_US + 2 * HOUR_US))
    assert "from 2023-11-15T04:00:00+00:00 on" in said
    later = change(sold, told, shop.NOW_US + 6 * HOUR_US)
    assert later.day_cut_off_minutes == 240


GST = TaxRate("m-1", "goods", "GST", "GST 5 %", 50_000, inclusive=False)


def test_taxes_of_a_new_code_hold_always_and_later_ones_from_now_on(
    connection: sa.Connection,
) -> None:
    pst = msgspec.structs.replace(GST, code="PST", rate_ppm=70_000)
    for tax in (GST, pst):
        added = catalogue_changes.add_tax_rate(connection, tax, None, "ann", 7)
        assert added.valid_from_us == 0
    store.save_products(connection, [Product("m-1", "tea", "Tea", UnitPrice(1), "CAD", "goods")])
    raised = msgspec.structs.replace(pst, rate_ppm=80_000)
    assert catalogue_changes.add_tax_rate(connection, raised, None, "ann", 9).valid_from_us == 9
    assert catalogue_changes.add_tax_rate(connection, raised, 12, "ann", 10).valid_from_us == 12
    past = refusal(lambda: catalogue_changes.add_tax_rate(connection, raised, 11, "ann", 13))
    assert "a change begins now or later" in past
    again = refusal(lambda: catalogue_changes.add_tax_rate(connection, raised, 12, "ann", 10))
    assert "PST has a rate from that instant on" in again
    rates = store.list_tax_rates(connection, "m-1")
    found = [(it.code, it.rate_ppm, it.valid_from_us) for it in rates]
    expected = [("GST", 50_000, 0), ("PST", 70_000, 0), ("PST", 80_000, 9), ("PST", 80_000, 12)]
    assert found == expected
    logged = audit_log.of_kinds(connection, "m-1", [catalogue_changes.TAX_RATE_ADDED])
    assert [(it.actor, it.detail) for it in logged][-1] == (
        "ann",
        "goods, PST: 80000 ppm on top of the price, STANDARD, from 12 us on",
    )
