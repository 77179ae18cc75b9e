"""Cases of prices from the catalogue's tables to the order's, as its merchant sees them."""

from collections.abc import Sequence

import msgspec
import pytest
import sqlalchemy as sa

from internal.api.orders import to_wire
from internal.catalogue import store as catalogue_store
from internal.catalogue.messages import Product, RoundingPoint, Store, TaxRate
from internal.checks import invariants
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey
from internal.kernel import money
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice
from internal.orders.messages import OrderPlaced
from internal.pricing.messages import (
    Adjustment,
    AdjustmentKind,
    AdjustmentSource,
    PartKind,
    WantedLine,
)
from internal.views.order import OrderView
from tests.support import shop, staged_orders, stock

PLACE = "corner"


def sold(
    connection: sa.Connection,
    store: Store,
    rates: Sequence[tuple[str, str, int]],
    prices: dict[str, UnitPrice],
    *lines: WantedLine,
    adjustments: tuple[Adjustment, ...] = (),
) -> OrderView:
    """Sell lines in a store whose rates are (tax code, tax, ppm), all of them on top."""
    catalogue_store.save_stores(connection, [store])
    taxes = [
        TaxRate(shop.MERCHANT, tax_code, code, code, ppm, inclusive=False)
        for tax_code, code, ppm in rates
    ]
    catalogue_store.add_tax_rates(connection, taxes)
    codes = dict(zip(prices, [rates[0][0], rates[-1][0]], strict=False))
    products = [
        Product(shop.MERCHANT, sku, f"A {sku}", price, store.currency, codes[sku])
        for sku, price in prices.items()
    ]
    catalogue_store.save_products(connection, products)
    received = [stock.moved(StockKey(shop.MERCHANT, PLACE, sku), 2_000) for sku in prices]
    inventory_store.move(connection, received, stock.OWNER)
    order = msgspec.structs.replace(
        shop.placed("o"),
        store_id=PLACE,
        currency=store.currency,
        lines=lines,
        adjustments=adjustments,
    )
    return carried(connection, order)


def carried(connection: sa.Connection, order: OrderPlaced) -> OrderView:
    stages = staged_orders.StagedOrders(connection)
    stages.carry(order)
    view = stages.view("o")
    assert view.state == "FINALIZED"
    assert not invariants.check(connection)
    return view


def place(currency: str, mode: RoundingMode, point: RoundingPoint) -> Store:
    return Store(shop.MERCHANT, PLACE, "The corner", currency, mode, point)


def test_two_taxes_on_a_line(any_database: sa.Connection) -> None:
    """38.48 with GST 5 % and PST 7 % on top: 1.92 and 2.69."""
    view = sold(
        any_database,
        place("CAD", RoundingMode.HALF_UP, RoundingPoint.LINE),
        [("BC", "GST", 50_000), ("BC", "PST", 70_000)],
        {"boots": UnitPrice(3_848)},
        WantedLine("boots", 1_000),
    )
    assert (view.tax_minor, view.total_minor) == (461, 4_309)
    order = to_wire.order_of(view)
    taxes = [(it.code, it.tax.units, it.tax.nanos) for it in order.taxes]
    assert taxes == [("GST", 1, 920_000_000), ("PST", 2, 690_000_000)]
    assert [list(line.taxes) for line in order.lines] == [list(order.taxes)]


def test_two_codes_of_one_rate(any_database: sa.Connection) -> None:
    """107 + 107 with 8 % on top, rounded down once per rate: 17."""
    view = sold(
        any_database,
        place("JPY", RoundingMode.DOWN, RoundingPoint.TAX_RATE),
        [("FOOD", "FOOD", 80_000), ("NEWS", "NEWS", 80_000)],
        {"a": UnitPrice(107), "b": UnitPrice(107)},
        WantedLine("a", 1_000),
        WantedLine("b", 1_000),
    )
    assert (view.tax_minor, view.total_minor) == (17, 231)


@pytest.mark.parametrize(
    ("price", "pieces", "net", "total"),
    [(UnitPrice(23_267, 3), 1_000, 23_267, 27_920), (UnitPrice(495, 1), 500, 24_750, 29_700)],
)
def test_a_price_below_a_cent(
    any_database: sa.Connection, price: UnitPrice, pieces: int, net: int, total: int
) -> None:
    view = sold(
        any_database,
        place("EUR", RoundingMode.HALF_UP, RoundingPoint.LINE),
        [("ON", "VAT", 200_000)],
        {"screw": price},
        WantedLine("screw", pieces * 1_000, price),
    )
    assert (view.net_minor, view.total_minor) == (net, total)
    (line,) = to_wire.order_of(view).lines
    shown = line.unit_price.units * money.NANOS_PER_UNIT + line.unit_price.nanos
    assert shown * 10**price.scale == price.scaled * 10_000_000


def test_every_part_of_a_price_is_recorded(any_database: sa.Connection) -> None:
    """Weighed goods with a coupon on the line, and a discount on the order."""
    coupon = Adjustment(
        AdjustmentKind.BASIS_POINTS, 1_000, AdjustmentSource.COUPON, "HAM", "FRIDAY", "anna"
    )
    off = Adjustment(AdjustmentKind.AMOUNT, 50)
    view = sold(
        any_database,
        place("EUR", RoundingMode.HALF_UP, RoundingPoint.LINE),
        [("ON", "VAT", 70_000)],
        {"ham": UnitPrice(1_999)},
        WantedLine("ham", 333, None, "a-1", (coupon,)),
        adjustments=(off,),
    )
    # 6.65667 is 6.66; 0.67 and 0.50 off; 7 % of 5.49 is 0.3843
    (line,) = view.lines
    assert (line.line_ref, line.quantity_milli) == ("a-1", 333)
    assert [(it.kind, it.base_minor, it.amount_minor) for it in line.parts] == [
        (PartKind.ROUNDING, 665, 1),
        (PartKind.DISCOUNT, 666, 67),
        (PartKind.DISCOUNT, 599, 50),
        (PartKind.TAX, 549, 38),
    ]
    taken = line.parts[1]
    assert (taken.source, taken.code, taken.reason_code, taken.allowed_by, taken.rate_ppm) == (
        "COUPON",
        "HAM",
        "FRIDAY",
        "anna",
        100_000,
    )
    assert view.total_minor == 587
    assert to_wire.order_of(view).price_trace[1] == (
        "line 1: discount 10 % of 6.66 = 0.67 (HALF_UP), coupon, HAM, FRIDAY, allowed by anna"
    )
