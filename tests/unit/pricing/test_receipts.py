"""Receipts calculated by hand, as a cashier, an accountant and a tax office expect them."""

import pytest

from internal.catalogue.messages import CatalogueSnapshot, RoundingPoint
from internal.kernel.money import RoundingMode
from internal.kernel.unit_prices import UnitPrice
from internal.pricing import messages, rules, trace
from tests.unit.pricing.snapshots import (
    Rounding,
    amount,
    basis_points,
    request_for,
    request_of,
    snapshot_of,
)

GERMAN_RATES = {"FULL": (190_000, True), "REDUCED": (70_000, True)}
NEW_YORK_RATES = {"NYC": (88_750, False), "NONE": (0, False)}
JAPANESE_RATES = {"STANDARD": (100_000, True), "FOOD": (80_000, True)}


def price(
    snapshot: CatalogueSnapshot,
    lines: list[tuple[str, int]],
    *adjustments: messages.Adjustment,
) -> messages.PricedOrder:
    (store,) = snapshot.stores.values()
    order = rules.price(request_of(store.currency, lines, *adjustments), snapshot)
    assert isinstance(order, messages.PricedOrder)
    return order


def steps(order: messages.PricedOrder) -> tuple[str, ...]:
    return trace.steps(order.lines, order.currency)


def inside(code: str, ppm: int, net: int, tax: int) -> messages.Part:
    """Return the part of a tax inside a price, rounded half up on its line."""
    return messages.Part(
        kind=messages.PartKind.TAX,
        rule=messages.PartRule.LINE,
        rounding_mode=RoundingMode.HALF_UP,
        base_minor=net,
        amount_minor=tax,
        code=code,
        rate_ppm=ppm,
        inclusive=True,
    )


def taxes(order: messages.PricedOrder) -> list[int]:
    return [line.tax_minor for line in order.lines]


def german_shop() -> CatalogueSnapshot:
    return snapshot_of("EUR", GERMAN_RATES, {"cola": (199, "FULL"), "book": (1250, "REDUCED")})


def test_german_receipt() -> None:
    order = price(german_shop(), [("cola", 3), ("book", 1)])
    # 5.97 x 19 / 119 = 0.9532, 12.50 x 7 / 107 = 0.8178
    assert order == messages.PricedOrder(
        currency="EUR",
        lines=(
            messages.PricedLine(
                line_no=1,
                line_ref="1",
                sku="cola",
                name="A cola",
                location_id="s-1",
                quantity_milli=3_000,
                unit_price=UnitPrice(199),
                gross_minor=597,
                discount_minor=0,
                tax_minor=95,
                total_minor=597,
                parts=(inside("FULL", 190_000, 502, 95),),
            ),
            messages.PricedLine(
                line_no=2,
                line_ref="2",
                sku="book",
                name="A book",
                location_id="s-1",
                quantity_milli=1_000,
                unit_price=UnitPrice(1250),
                gross_minor=1250,
                discount_minor=0,
                tax_minor=82,
                total_minor=1250,
                parts=(inside("REDUCED", 70_000, 1168, 82),),
            ),
        ),
        taxes=(
            messages.TaxBucket("FULL", 190_000, inclusive=True, taxable_minor=502, tax_minor=95),
            messages.TaxBucket("REDUCED", 70_000, inclusive=True, taxable_minor=1168, tax_minor=82),
        ),
        gross_minor=1847,
        discount_minor=0,
        net_minor=1670,
        tax_minor=177,
        total_minor=1847,
    )
    assert steps(order) == (
        "line 1: 3 x 1.99 = 5.97, tax FULL 0.95 inside",
        "line 2: 1 x 12.50 = 12.50, tax REDUCED 0.82 inside",
        "tax FULL: 19 % inside 5.97 = 0.95",
        "tax REDUCED: 7 % inside 12.50 = 0.82",
        "tax rounded HALF_UP on each line",
    )


def test_german_receipt_with_ten_percent_off() -> None:
    order = price(german_shop(), [("cola", 3), ("book", 1)], basis_points(1_000))
    # 1.847 rounds to 1.85; 59.797 and 125.203 of it: the odd cent goes to the cola.
    # 5.37 x 19 / 119 = 0.8574, 11.25 x 7 / 107 = 0.7360
    assert [line.discount_minor for line in order.lines] == [60, 125]
    assert [line.total_minor for line in order.lines] == [537, 1125]
    assert taxes(order) == [86, 74]
    assert (order.discount_minor, order.net_minor, order.tax_minor) == (185, 1502, 160)
    assert order.total_minor == 1662
    assert steps(order)[0] == "line 1: 3 x 1.99 = 5.97, discount 0.60, tax FULL 0.86 inside"
    assert steps(order)[2] == (
        "discount 10 % of 18.47 = 1.85 (HALF_UP), manual, shared among the lines by largest"
        " remainder"
    )


def test_new_york_receipt() -> None:
    snapshot = snapshot_of("USD", NEW_YORK_RATES, {"lamp": (2_499, "NYC"), "bread": (350, "NONE")})
    order = price(snapshot, [("lamp", 2), ("bread", 1)], amount(500))
    # 5.00 over 49.98 and 3.50: 467.277 and 32.723. Tax 8.875 % of 45.31 = 4.0213
    assert [line.discount_minor for line in order.lines] == [467, 33]
    assert taxes(order) == [402, 0]
    assert [line.total_minor for line in order.lines] == [4933, 317]
    assert (order.net_minor, order.tax_minor, order.total_minor) == (4848, 402, 5250)
    assert [bucket.taxable_minor for bucket in order.taxes] == [4531, 317]
    assert "tax NYC: 8.875 % on top of 45.31 = 4.02" in steps(order)
    assert "discount 5.00, manual, shared among the lines by largest remainder" in steps(order)


@pytest.mark.parametrize(
    ("point", "by_line"),
    [
        # 8.875 % of 0.99 = 0.0879 each, of 2.97 = 0.2636
        (RoundingPoint.LINE, [9, 9, 9]),
        (RoundingPoint.TAX_RATE, [9, 9, 8]),
        (RoundingPoint.DOCUMENT, [9, 9, 8]),
    ],
)
def test_new_york_pennies_depend_on_where_tax_is_rounded(
    point: RoundingPoint, by_line: list[int]
) -> None:
    rounding = Rounding(RoundingMode.HALF_UP, point)
    snapshot = snapshot_of("USD", NEW_YORK_RATES, {"gum": (99, "NYC")}, rounding)
    order = price(snapshot, [("gum", 1)] * 3)
    assert taxes(order) == by_line
    assert order.total_minor == 297 + sum(by_line)


@pytest.mark.parametrize(
    ("point", "by_line"),
    [
        # 10 % of 1.05 = 0.105, twice over, under two codes of one rate: 0.21 in all
        (RoundingPoint.LINE, [11, 11]),
        (RoundingPoint.TAX_RATE, [11, 10]),
        (RoundingPoint.DOCUMENT, [11, 10]),
    ],
)
def test_two_codes_of_one_rate_are_rounded_together(
    point: RoundingPoint, by_line: list[int]
) -> None:
    rounding = Rounding(RoundingMode.HALF_UP, point)
    rates = {"STATE": (100_000, False), "CITY": (100_000, False)}
    snapshot = snapshot_of("USD", rates, {"pen": (105, "STATE"), "ink": (105, "CITY")}, rounding)
    assert taxes(price(snapshot, [("pen", 1), ("ink", 1)])) == by_line


def test_inclusive_and_exclusive_tax_in_one_document() -> None:
    rounding = Rounding(RoundingMode.HALF_UP, RoundingPoint.DOCUMENT)
    rates = {"IN": (190_000, True), "ON": (88_750, False)}
    snapshot = snapshot_of("EUR", rates, {"cola": (199, "IN"), "lamp": (2_499, "ON")}, rounding)
    order = price(snapshot, [("cola", 3), ("lamp", 1)])
    # 0.95319 inside and 2.21786 on top: 3.17105 in all, 0.95 and 2.21 are sure, and the odd cent
    # goes to the lamp's larger remainder.
    assert taxes(order) == [95, 222]
    assert [line.total_minor for line in order.lines] == [597, 2721]
    assert (order.net_minor, order.tax_minor, order.total_minor) == (3001, 317, 3318)


def test_japanese_receipt() -> None:
    rounding = Rounding(RoundingMode.DOWN, RoundingPoint.TAX_RATE)
    products = {"onigiri": (158, "FOOD"), "tea": (129, "FOOD"), "battery": (299, "STANDARD")}
    order = price(
        snapshot_of("JPY", JAPANESE_RATES, products, rounding),
        [("onigiri", 2), ("tea", 1), ("battery", 2)],
    )
    # 445 x 8 / 108 = 32.96; 598 x 10 / 110 = 54.36: the yen below, once per rate.
    # Of the 32, onigiri 23.41 and tea 9.56: 23 and 9 leave nothing to hand out.
    assert taxes(order) == [23, 9, 54]
    assert [(bucket.taxable_minor, bucket.tax_minor) for bucket in order.taxes] == [
        (413, 32),
        (544, 54),
    ]
    assert (order.net_minor, order.tax_minor, order.total_minor) == (957, 86, 1043)
    assert steps(order)[0] == "line 1: 2 x 158 = 316, tax FOOD 23 inside"


def test_japanese_ten_percent_on_top() -> None:
    rounding = Rounding(RoundingMode.DOWN, RoundingPoint.LINE)
    snapshot = snapshot_of("JPY", {"TAX": (100_000, False)}, {"lamp": (1_239, "TAX")}, rounding)
    order = price(snapshot, [("lamp", 1)])
    assert (order.net_minor, order.tax_minor, order.total_minor) == (1239, 123, 1362)


@pytest.mark.parametrize(
    ("mode", "tax"),
    [
        # 5 % of 3.750 dinars is 0.1875
        (RoundingMode.HALF_EVEN, 188),
        (RoundingMode.HALF_UP, 188),
        (RoundingMode.HALF_DOWN, 187),
        (RoundingMode.UP, 188),
        (RoundingMode.DOWN, 187),
    ],
)
def test_kuwaiti_receipt(mode: RoundingMode, tax: int) -> None:
    rounding = Rounding(mode, RoundingPoint.LINE)
    snapshot = snapshot_of("KWD", {"TAX": (50_000, False)}, {"dates": (1_250, "TAX")}, rounding)
    order = price(snapshot, [("dates", 3)])
    assert (order.net_minor, order.tax_minor, order.total_minor) == (3750, tax, 3750 + tax)


def test_the_odd_cent_of_a_discount_goes_to_the_first_line() -> None:
    snapshot = snapshot_of("EUR", {"ZERO": (0, True)}, {"pin": (100, "ZERO")})
    order = price(snapshot, [("pin", 1)] * 3, amount(100))
    assert [line.total_minor for line in order.lines] == [66, 67, 67]


@pytest.mark.parametrize("discount", [amount(1847), basis_points(10_000)])
def test_a_discount_may_be_the_whole_order(discount: messages.Adjustment) -> None:
    order = price(german_shop(), [("cola", 3), ("book", 1)], discount)
    assert (order.discount_minor, order.net_minor, order.tax_minor) == (1847, 0, 0)
    assert [line.total_minor for line in order.lines] == [0, 0]


def test_free_goods_take_no_discount() -> None:
    snapshot = snapshot_of("EUR", GERMAN_RATES, {"flyer": (0, "FULL"), "book": (1250, "REDUCED")})
    assert price(snapshot, [("flyer", 2)], basis_points(5_000)).total_minor == 0
    order = price(snapshot, [("flyer", 2), ("book", 1)], amount(50))
    assert [line.discount_minor for line in order.lines] == [0, 50]


@pytest.mark.parametrize(
    ("price", "pieces", "amounts"),
    [
        # 0.23267 x 1,000 and 20 % on top; rounded by the unit it would be 230.00
        (UnitPrice(23_267, 3), 1_000, (23_267, 4_653, 27_920)),
        (UnitPrice(495, 1), 500, (24_750, 4_950, 29_700)),
    ],
)
def test_a_price_below_a_cent_is_rounded_on_the_line(
    price: UnitPrice, pieces: int, amounts: tuple[int, int, int]
) -> None:
    snapshot = snapshot_of("EUR", {"ON": (200_000, False)}, {"screw": (price, "ON")})
    order = rules.price(request_of("EUR", [("screw", pieces)]), snapshot)
    assert isinstance(order, messages.PricedOrder)
    assert (order.net_minor, order.tax_minor, order.total_minor) == amounts
    assert [part.kind for part in order.lines[0].parts] == ["TAX"]


@pytest.mark.parametrize(
    ("mode", "gross", "added"),
    [
        (RoundingMode.HALF_UP, 666, 1),
        (RoundingMode.HALF_DOWN, 666, 1),
        (RoundingMode.HALF_EVEN, 666, 1),
        (RoundingMode.UP, 666, 1),
        (RoundingMode.DOWN, 665, 0),
    ],
)
def test_weighed_goods_are_rounded_on_the_line(mode: RoundingMode, gross: int, added: int) -> None:
    """0.333 kg at 19.99 are 6.65667."""
    snapshot = snapshot_of(
        "EUR", {"IN": (70_000, True)}, {"ham": (1_999, "IN")}, Rounding(mode, RoundingPoint.LINE)
    )
    order = rules.price(request_for("EUR", [messages.WantedLine("ham", 333)]), snapshot)
    assert isinstance(order, messages.PricedOrder)
    (line,) = order.lines
    rounding, _ = line.parts
    assert (line.gross_minor, rounding.base_minor, rounding.amount_minor) == (gross, 665, added)


def test_discounts_of_a_line_and_of_the_order() -> None:
    """A line's own discounts come first: 10.00 less 10 %, and 1.00 off 14.00 for both lines."""
    snapshot = snapshot_of("EUR", {"IN": (190_000, True)}, {"a": (1_000, "IN"), "b": (500, "IN")})
    lines = [
        messages.WantedLine("a", 1_000, adjustments=(basis_points(1_000),)),
        messages.WantedLine("b", 1_000),
    ]
    order = rules.price(request_for("EUR", lines, amount(100)), snapshot)
    assert isinstance(order, messages.PricedOrder)
    assert [line.discount_minor for line in order.lines] == [164, 36]
    assert (order.discount_minor, order.total_minor) == (200, 1_300)
