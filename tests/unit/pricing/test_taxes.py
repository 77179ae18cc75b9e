"""Several taxes on a line, dated rates, and public cases of tax rounding."""

import pytest

from internal.catalogue.messages import CatalogueSnapshot, RoundingPoint
from internal.kernel.money import RoundingMode
from internal.pricing import messages, rules, taxes
from tests.unit.pricing import snapshots
from tests.unit.pricing.snapshots import Rounding, request_of, snapshot_of

CANADA = {"BC": {"GST": (50_000, False), "PST": (70_000, False)}}
INSIDE = {"BC": {"GST": (50_000, True), "PST": (70_000, True)}}


def priced(snapshot: CatalogueSnapshot, request: messages.PriceRequest) -> messages.PricedOrder:
    order = rules.price(request, snapshot)
    assert isinstance(order, messages.PricedOrder)
    return order


def taxes_of(order: messages.PricedOrder) -> list[list[int]]:
    """Return the taxes of each line."""
    return [
        [part.amount_minor for part in line.parts if part.kind is messages.PartKind.TAX]
        for line in order.lines
    ]


def test_canadian_taxes_are_two_amounts() -> None:
    snapshot = snapshot_of("CAD", CANADA, {"boots": (3_848, "BC")})
    order = priced(snapshot, request_of("CAD", [("boots", 1)]))
    # 5 % of 38.48 = 1.924 and 7 % = 2.6936; 12 % would be 4.6176
    assert [(it.code, it.taxable_minor, it.tax_minor) for it in order.taxes] == [
        ("GST", 3_848, 192),
        ("PST", 3_848, 269),
    ]
    assert (order.net_minor, order.tax_minor, order.total_minor) == (3_848, 461, 4_309)


@pytest.mark.parametrize("mode", list(RoundingMode))
@pytest.mark.parametrize("point", list(RoundingPoint))
def test_taxes_inside_are_taken_out_together(mode: RoundingMode, point: RoundingPoint) -> None:
    snapshot = snapshot_of("CAD", INSIDE, {"boots": (4_310, "BC")}, Rounding(mode, point))
    order = priced(snapshot, request_of("CAD", [("boots", 1)]))
    # 43.10 x 12 / 112 = 4.61786, of which 1.92411 and 2.69375
    tax, split = (461, [192, 269]) if mode is RoundingMode.DOWN else (462, [193, 269])
    assert taxes_of(order) == [split]
    assert (order.net_minor, order.tax_minor, order.total_minor) == (4_310 - tax, tax, 4_310)


def test_taxes_inside_never_exceed_the_price() -> None:
    rounding = Rounding(RoundingMode.UP, RoundingPoint.TAX_RATE)
    snapshot = snapshot_of("CAD", INSIDE, {"sweet": (1, "BC")}, rounding)
    order = priced(snapshot, request_of("CAD", [("sweet", 1)]))
    assert taxes_of(order) == [[0, 1]]
    assert order.net_minor == 0


def test_a_tax_on_top_leaves_out_the_tax_inside() -> None:
    rates = {"MIX": {"VAT": (200_000, True), "LEVY": (10_000, False)}}
    snapshot = snapshot_of("EUR", rates, {"pan": (12_000, "MIX")})
    order = priced(snapshot, request_of("EUR", [("pan", 1)]))
    # 120.00 x 20 / 120 = 20.00 inside; 1 % of the remaining 100.00
    assert taxes_of(order) == [[2_000, 100]]
    assert (order.net_minor, order.total_minor) == (10_000, 12_100)


@pytest.mark.parametrize(
    ("rounding", "by_line", "total"),
    [
        # 107 x 8 % = 8.56 each, 17.12 of both
        (Rounding(RoundingMode.DOWN, RoundingPoint.TAX_RATE), [[9], [8]], 231),
        (Rounding(RoundingMode.DOWN, RoundingPoint.LINE), [[8], [8]], 230),
    ],
)
def test_two_codes_of_one_rate_are_rounded_once(
    rounding: Rounding, by_line: list[list[int]], total: int
) -> None:
    rates = {"FOOD": (80_000, False), "NEWS": (80_000, False)}
    snapshot = snapshot_of("JPY", rates, {"a": (107, "FOOD"), "b": (107, "NEWS")}, rounding)
    order = priced(snapshot, request_of("JPY", [("a", 1), ("b", 1)]))
    assert taxes_of(order) == by_line
    assert order.total_minor == total


def test_one_rate_inside_and_on_top_is_rounded_apart() -> None:
    rounding = Rounding(RoundingMode.DOWN, RoundingPoint.TAX_RATE)
    rates = {"IN": (80_000, True), "ON": (80_000, False)}
    snapshot = snapshot_of("JPY", rates, {"a": (107, "IN"), "b": (107, "ON")}, rounding)
    order = priced(snapshot, request_of("JPY", [("a", 1), ("b", 1)]))
    # 107 x 8 / 108 = 7.93 and 8.56
    assert taxes_of(order) == [[7], [8]]


def test_lines_that_are_returned_one_by_one_sum_to_the_sale() -> None:
    rounding = Rounding(RoundingMode.HALF_UP, RoundingPoint.TAX_RATE)
    products = {"a": (6_833, "VAT"), "b": (5_750, "VAT"), "c": (8_500, "VAT")}
    snapshot = snapshot_of("EUR", {"VAT": (200_000, False)}, products, rounding)
    order = priced(snapshot, request_of("EUR", [("a", 1), ("a", 1), ("b", 1), ("c", 1)]))
    # 20 % of 279.16 = 55.832; alone 68.33 would be 13.67 both times
    assert [line.total_minor for line in order.lines] == [8_200, 8_199, 6_900, 10_200]
    assert (order.net_minor, order.tax_minor, order.total_minor) == (27_916, 5_583, 33_499)


def test_the_rate_in_force_is_the_one_that_began_last() -> None:
    rates = [
        snapshots.rate_of("VAT", "VAT", ppm, inclusive=True, valid_from_us=begins)
        for ppm, begins in ((190_000, 0), (160_000, 100), (190_000, 200))
    ]
    found = [taxes.rule_of(rates, at_us).rates[0].rate_ppm for at_us in (0, 99, 100, 199, 200)]
    assert found == [190_000, 190_000, 160_000, 160_000, 190_000]
    assert taxes.rule_of(rates, -1).rates == ()


def test_a_tax_begins_beside_another() -> None:
    rates = [
        snapshots.rate_of("BC", "GST", 50_000, inclusive=False),
        snapshots.rate_of("BC", "PST", 70_000, inclusive=False, valid_from_us=100),
    ]
    assert [rate.code for rate in taxes.rule_of(rates, 99).rates] == ["GST"]
    assert [rate.code for rate in taxes.rule_of(rates, 100).rates] == ["GST", "PST"]


def test_a_weighed_line_is_taxed_on_its_rounded_gross() -> None:
    snapshot = snapshot_of("EUR", {"VAT": (70_000, True)}, {"ham": (1_999, "VAT")})
    wanted = messages.WantedLine("ham", 333)
    order = priced(snapshot, snapshots.request_for("EUR", [wanted]))
    # 0.333 x 19.99 = 6.65667; 6.66 x 7 / 107 = 0.4357
    (line,) = order.lines
    assert (line.gross_minor, line.tax_minor, line.total_minor) == (666, 44, 666)
