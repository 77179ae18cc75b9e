"""Properties of every priced order, for any catalogue, discount and rounding."""

import collections
import decimal
import random
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue import messages as catalogue
from internal.catalogue.messages import RoundingPoint
from internal.kernel import money
from internal.kernel.money import RoundingMode
from internal.pricing import messages, rules
from tests.unit.pricing import snapshots

ORACLE = decimal.Context(prec=200)
HALVES = st.sampled_from([RoundingMode.HALF_UP, RoundingMode.HALF_DOWN, RoundingMode.HALF_EVEN])


def priced(case: snapshots.Case) -> messages.PricedOrder:
    answer = rules.price(case.request, case.snapshot)
    assert isinstance(answer, messages.PricedOrder)
    return answer


def store_of(case: snapshots.Case) -> catalogue.Store:
    return case.snapshot.stores[snapshots.MERCHANT, snapshots.STORE]


def base_of(line: messages.PricedLine) -> int:
    return line.gross_minor - line.discount_minor


def exact_tax(line: messages.PricedLine) -> Fraction:
    whole = catalogue.PPM + line.tax_rate_ppm if line.tax_inclusive else catalogue.PPM
    return Fraction(base_of(line) * line.tax_rate_ppm, whole)


def rounded(exact: Fraction, mode: RoundingMode) -> int:
    quotient = ORACLE.divide(decimal.Decimal(exact.numerator), decimal.Decimal(exact.denominator))
    return int(quotient.to_integral_value(rounding=f"ROUND_{mode}"))


@given(snapshots.cases())
def test_net_and_tax_are_the_total(case: snapshots.Case) -> None:
    order = priced(case)
    inside = sum(line.tax_minor for line in order.lines if line.tax_inclusive)
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
    assert sum(bucket.taxable_minor for bucket in order.taxes) == order.net_minor
    for bucket in order.taxes:
        lines = [line for line in order.lines if line.tax_code == bucket.tax_code]
        inside = bucket.tax_minor if bucket.inclusive else 0
        assert sum(line.tax_minor for line in lines) == bucket.tax_minor
        assert sum(base_of(line) for line in lines) - inside == bucket.taxable_minor


@given(snapshots.cases())
def test_a_line_adds_up_and_matches_its_request(case: snapshots.Case) -> None:
    order = priced(case)
    for line_no, (line, wanted) in enumerate(
        zip(order.lines, case.request.lines, strict=True), start=1
    ):
        on_top = 0 if line.tax_inclusive else line.tax_minor
        assert (line.line_no, line.sku, line.quantity) == (line_no, wanted.sku, wanted.quantity)
        assert line.gross_minor == line.quantity * line.unit_price_minor
        assert 0 <= line.discount_minor <= line.gross_minor
        assert line.total_minor == base_of(line) + on_top
        assert 0 <= line.tax_minor <= line.total_minor


@given(snapshots.cases())
def test_shares_and_taxes_are_fair(case: snapshots.Case) -> None:
    order = priced(case)
    for line in order.lines:
        due = Fraction(order.discount_minor * line.gross_minor, order.gross_minor or 1)
        assert abs(line.discount_minor - due) < 1
        assert abs(line.tax_minor - exact_tax(line)) < 1
    for bucket in order.taxes:
        lines = [line for line in order.lines if line.tax_code == bucket.tax_code]
        if store_of(case).rounding_point != RoundingPoint.LINE:
            assert abs(bucket.tax_minor - sum(map(exact_tax, lines), Fraction(0))) < 1


@given(snapshots.cases())
def test_tax_is_rounded_at_the_rounding_point_of_the_store(case: snapshots.Case) -> None:
    order, store = priced(case), store_of(case)
    if store.rounding_point == RoundingPoint.LINE:
        for line in order.lines:
            assert line.tax_minor == rounded(exact_tax(line), store.rounding_mode)
    elif store.rounding_point == RoundingPoint.TAX_RATE:
        for bucket in order.taxes:
            lines = [line for line in order.lines if line.tax_code == bucket.tax_code]
            exact = sum(map(exact_tax, lines), Fraction(0))
            assert bucket.tax_minor == rounded(exact, store.rounding_mode)
    else:
        exact = sum(map(exact_tax, order.lines), Fraction(0))
        assert order.tax_minor == rounded(exact, store.rounding_mode)


@given(snapshots.cases())
def test_the_discount_is_the_requested_one(case: snapshots.Case) -> None:
    order, discount = priced(case), case.request.discount
    if discount is None:
        assert order.discount_minor == 0
    elif discount.kind == messages.DiscountKind.AMOUNT:
        assert order.discount_minor == discount.value
    else:
        exact = Fraction(order.gross_minor * discount.value, 10_000)
        assert order.discount_minor == rounded(exact, store_of(case).rounding_mode)


@given(snapshots.cases())
def test_the_same_order_costs_the_same_again(case: snapshots.Case) -> None:
    assert priced(case) == priced(case)


@given(snapshots.cases())
def test_the_trace_has_every_line_bucket_and_rounding(case: snapshots.Case) -> None:
    order, store = priced(case), store_of(case)
    steps = len(order.lines) + len(order.taxes) + (case.request.discount is not None) + 1
    assert len(order.trace) == steps
    assert all(
        step.startswith(f"line {line.line_no}: ")
        for line, step in zip(order.lines, order.trace, strict=False)
    )
    assert store.rounding_mode in order.trace[-1]


@given(st.integers(0, 10**12), st.integers(1, 2 * catalogue.PPM), HALVES)
def test_tax_put_on_top_is_found_inside_again(net: int, ppm: int, mode: RoundingMode) -> None:
    on_top = order_of_one(net, ppm, mode, inclusive=False)
    inside = order_of_one(on_top.total_minor, ppm, mode, inclusive=True)
    assert (inside.net_minor, inside.tax_minor) == (on_top.net_minor, on_top.tax_minor)
    assert inside.total_minor == on_top.total_minor


@given(snapshots.cases(), st.randoms(use_true_random=False))
def test_refunds_unit_by_unit_in_any_order_sum_to_the_sale(
    case: snapshots.Case, chance: random.Random
) -> None:
    """A refund of k units is the rounded k-th part of the line less the refunds before it."""
    order, mode = priced(case), store_of(case).rounding_mode
    units = [line for line in order.lines for _ in range(line.quantity)]
    chance.shuffle(units)
    returned: collections.Counter[int] = collections.Counter()
    left_minor = order.total_minor
    for line in units:
        before = money.divide_round(line.total_minor * returned[line.line_no], line.quantity, mode)
        returned[line.line_no] += 1
        after = money.divide_round(line.total_minor * returned[line.line_no], line.quantity, mode)
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
