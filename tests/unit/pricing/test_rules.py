"""Properties of every priced order, for any catalogue, discount and rounding."""

import collections
import random
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue import messages as catalogue
from internal.catalogue.messages import RoundingPoint
from internal.kernel import money, unit_prices
from internal.kernel.money import RoundingMode
from internal.kernel.quantities import MILLI
from internal.pricing import messages, rules
from internal.pricing.messages import PartKind, PartRule
from tests.unit.pricing import snapshots

HALVES = st.sampled_from([RoundingMode.HALF_UP, RoundingMode.HALF_DOWN, RoundingMode.HALF_EVEN])


def priced(case: snapshots.Case) -> messages.PricedOrder:
    answer = rules.price(case.request, case.snapshot)
    assert isinstance(answer, messages.PricedOrder)
    return answer


def store_of(case: snapshots.Case) -> catalogue.Store:
    return case.snapshot.stores[snapshots.MERCHANT, snapshots.STORE]


def base_of(line: messages.PricedLine) -> int:
    return line.gross_minor - line.discount_minor


def taxes_of(line: messages.PricedLine) -> list[messages.Part]:
    return [part for part in line.parts if part.kind is PartKind.TAX]


def amounts_of(line: messages.PricedLine, kind: PartKind) -> int:
    return sum(part.amount_minor for part in line.parts if part.kind is kind)


def inside_of(line: messages.PricedLine) -> int:
    return sum(part.amount_minor for part in taxes_of(line) if part.inclusive)


def exact_tax(line: messages.PricedLine, part: messages.Part) -> Fraction:
    inside_ppm = sum(part.rate_ppm for part in taxes_of(line) if part.inclusive)
    return Fraction(base_of(line) * part.rate_ppm, catalogue.PPM + inside_ppm)


def units_of(line: messages.PricedLine) -> list[tuple[tuple[int, bool], int, Fraction]]:
    """Return ((rate, inclusive), amount, exact amount) of what is rounded as one on a line."""
    inside = [part for part in taxes_of(line) if part.inclusive]
    on_top = [[part] for part in taxes_of(line) if not part.inclusive]
    return [
        (
            (sum(part.rate_ppm for part in unit), unit[0].inclusive),
            sum(part.amount_minor for part in unit),
            sum((exact_tax(line, part) for part in unit), Fraction(0)),
        )
        for unit in [inside, *on_top]
        if unit
    ]


@given(snapshots.cases())
def test_net_and_tax_are_the_total(case: snapshots.Case) -> None:
    order = priced(case)
    inside = sum(map(inside_of, order.lines))
    assert order.net_minor + order.tax_minor == order.total_minor
    assert order.gross_minor - order.discount_minor == order.net_minor + inside
    assert min(order.net_minor, order.tax_minor, order.discount_minor) >= 0


@given(snapshots.cases())
def test_lines_sum_to_the_document(case: snapshots.Case) -> None:
    order = priced(case)
    assert sum(line.gross_minor for line in order.lines) == order.gross_minor
    assert sum(line.discount_minor for line in order.lines) == order.discount_minor
    assert sum(line.tax_minor for line in order.lines) == order.tax_minor
    assert sum(line.total_minor for line in order.lines) == order.total_minor


@given(snapshots.cases())
def test_buckets_sum_to_the_document(case: snapshots.Case) -> None:
    order = priced(case)
    assert sum(bucket.tax_minor for bucket in order.taxes) == order.tax_minor
    for bucket in order.taxes:
        parts = [
            part
            for line in order.lines
            for part in taxes_of(line)
            if (part.code, part.rate_ppm, part.inclusive)
            == (bucket.code, bucket.rate_ppm, bucket.inclusive)
        ]
        assert sum(part.amount_minor for part in parts) == bucket.tax_minor
        assert sum(part.base_minor for part in parts) == bucket.taxable_minor


@given(snapshots.cases())
def test_a_line_adds_up_and_matches_its_request(case: snapshots.Case) -> None:
    order, mode = priced(case), store_of(case).rounding_mode
    for line_no, (line, wanted) in enumerate(
        zip(order.lines, case.request.lines, strict=True), start=1
    ):
        on_top = line.tax_minor - inside_of(line)
        assert (line.line_no, line.sku) == (line_no, wanted.sku)
        assert line.quantity_milli == wanted.quantity_milli
        assert line.gross_minor == snapshots.gross_of(line.unit_price, line.quantity_milli, mode)
        assert 0 <= line.discount_minor <= line.gross_minor
        assert line.total_minor == base_of(line) + on_top
        assert 0 <= line.tax_minor <= line.total_minor


@given(snapshots.cases())
def test_parts_explain_their_line(case: snapshots.Case) -> None:
    for line in priced(case).lines:
        assert amounts_of(line, PartKind.TAX) == line.tax_minor
        assert amounts_of(line, PartKind.DISCOUNT) == line.discount_minor
        assert {part.base_minor for part in taxes_of(line)} == {base_of(line) - inside_of(line)}
        roundings = [part for part in line.parts if part.kind is PartKind.ROUNDING]
        assert all(line.gross_minor == it.base_minor + it.amount_minor for it in roundings)
        exact, whole = unit_prices.gross_fraction(line.unit_price, line.quantity_milli)
        assert len(roundings) == bool(exact % whole)


@given(snapshots.cases())
def test_every_tax_is_fair(case: snapshots.Case) -> None:
    order = priced(case)
    for line in order.lines:
        for part in taxes_of(line):
            assert abs(part.amount_minor - exact_tax(line, part)) < 1


@given(snapshots.cases())
def test_tax_is_rounded_at_the_rounding_point_of_the_store(case: snapshots.Case) -> None:
    order, store = priced(case), store_of(case)
    units = [unit for line in order.lines for unit in units_of(line)]
    if store.rounding_point == RoundingPoint.LINE:
        groups = [[unit] for unit in units]
    elif store.rounding_point == RoundingPoint.TAX_RATE:
        groups = [[unit for unit in units if unit[0] == key] for key in {it[0] for it in units}]
    else:
        groups = [units]
    for group in groups:
        exact = sum((unit[2] for unit in group), Fraction(0))
        assert sum(unit[1] for unit in group) == snapshots.rounded(exact, store.rounding_mode)


@given(snapshots.cases())
def test_the_discounts_are_the_requested_ones(case: snapshots.Case) -> None:
    order, mode = priced(case), store_of(case).rounding_mode
    left = 0
    for line, wanted in zip(order.lines, case.request.lines, strict=True):
        own = snapshots.taken(wanted.adjustments, line.gross_minor, mode)
        assert own == sum(
            part.amount_minor
            for part in line.parts
            if part.kind is PartKind.DISCOUNT and part.rule is PartRule.LINE
        )
        left += line.gross_minor - own
    of_order = snapshots.taken(case.request.adjustments, left, mode)
    assert order.gross_minor - left + of_order == order.discount_minor


@given(snapshots.cases())
def test_the_same_order_costs_the_same_again(case: snapshots.Case) -> None:
    assert priced(case) == priced(case)


@given(st.integers(0, 10**12), st.integers(1, 2 * catalogue.PPM), HALVES)
def test_tax_put_on_top_is_found_inside_again(net: int, ppm: int, mode: RoundingMode) -> None:
    on_top = order_of_one(net, ppm, mode, inclusive=False)
    inside = order_of_one(on_top.total_minor, ppm, mode, inclusive=True)
    assert (inside.net_minor, inside.tax_minor) == (on_top.net_minor, on_top.tax_minor)
    assert inside.total_minor == on_top.total_minor


def pieces_of(line: messages.PricedLine) -> int:
    """Return the pieces of a line; weighed goods come back in parts of equal size, too."""
    return -(-line.quantity_milli // MILLI)


@given(snapshots.cases(), st.randoms(use_true_random=False))
def test_refunds_unit_by_unit_in_any_order_sum_to_the_sale(
    case: snapshots.Case, chance: random.Random
) -> None:
    """A refund of k units is the rounded k-th part of the line less the refunds before it."""
    order, mode = priced(case), store_of(case).rounding_mode
    units = [line for line in order.lines for _ in range(pieces_of(line))]
    chance.shuffle(units)
    returned: collections.Counter[int] = collections.Counter()
    left_minor = order.total_minor
    for line in units:
        before = money.divide_round(
            line.total_minor * returned[line.line_no], pieces_of(line), mode
        )
        returned[line.line_no] += 1
        after = money.divide_round(line.total_minor * returned[line.line_no], pieces_of(line), mode)
        left_minor -= after - before
        assert before <= after <= line.total_minor
        assert left_minor >= 0
    assert left_minor == 0


@given(snapshots.cases(), st.randoms(use_true_random=False))
def test_refunds_line_by_line_in_any_order_sum_to_the_sale(
    case: snapshots.Case, chance: random.Random
) -> None:
    order = priced(case)
    lines = list(order.lines)
    chance.shuffle(lines)
    left_minor, left_tax = order.total_minor, order.tax_minor
    for line in lines:
        left_minor -= line.total_minor
        left_tax -= line.tax_minor
        assert left_minor >= left_tax >= 0
    assert (left_minor, left_tax) == (0, 0)


def order_of_one(
    price_minor: int, ppm: int, mode: RoundingMode, *, inclusive: bool
) -> messages.PricedOrder:
    rounding = snapshots.Rounding(mode, RoundingPoint.LINE)
    snapshot = snapshots.snapshot_of(
        "EUR", {"T": (ppm, inclusive)}, {"x": (price_minor, "T")}, rounding
    )
    return priced(snapshots.Case(snapshots.request_of("EUR", [("x", 1)]), snapshot))
