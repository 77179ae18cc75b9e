"""Discounts on lines and orders, in lists."""

from hypothesis import given
from hypothesis import strategies as st

from internal.catalogue.messages import Store
from internal.kernel.money import RoundingMode
from internal.kernel.quantities import MILLI
from internal.pricing import adjustments, messages
from internal.pricing.messages import PartRule
from tests.unit.pricing import snapshots
from tests.unit.pricing.snapshots import amount, basis_points

STORE = Store("m-1", "s-1", "The shop", "EUR")


def applied(
    grosses: list[int],
    *of_order: messages.Adjustment,
    of_lines: list[tuple[messages.Adjustment, ...]] | None = None,
) -> adjustments.Discounted:
    lines = [
        messages.WantedLine(f"sku-{place}", MILLI, adjustments=own)
        for place, own in enumerate(of_lines or [()] * len(grosses))
    ]
    left = adjustments.apply(lines, grosses, of_order, STORE)
    assert isinstance(left, adjustments.Discounted)
    return left


def test_lines_come_before_the_order() -> None:
    left = applied([5_000, 5_000], basis_points(1_000), of_lines=[(basis_points(5_000),), ()])
    # 25.00 and 50.00 are left; 7.50 of 75.00 is shared as 2.50 and 5.00
    assert left.bases == [2_250, 4_500]
    assert [[part.amount_minor for part in parts] for parts in left.parts] == [[2_500, 250], [500]]
    assert [part.rule for part in left.parts[0]] == [PartRule.LINE, PartRule.ORDER]
    assert [part.base_minor for part in left.parts[0]] == [5_000, 2_500]


def test_shares_of_one_list_are_shares_of_the_same_amount() -> None:
    assert applied([1_000], basis_points(1_000), basis_points(1_000)).bases == [800]


def test_two_halves_are_the_whole() -> None:
    left = applied([101], basis_points(5_000), basis_points(5_000))
    assert left.bases == [0]
    assert [part.amount_minor for part in left.parts[0]] == [51, 50]


def test_a_part_names_its_adjustment() -> None:
    coupon = messages.Adjustment(
        messages.AdjustmentKind.BASIS_POINTS,
        1_500,
        messages.AdjustmentSource.COUPON,
        "WELCOME",
        "FIRST_ORDER",
        "anna",
    )
    (part,) = applied([2_000], coupon).parts[0]
    assert part == messages.Part(
        kind=messages.PartKind.DISCOUNT,
        rule=PartRule.ORDER,
        rounding_mode=RoundingMode.HALF_UP,
        base_minor=2_000,
        amount_minor=300,
        code="WELCOME",
        rate_ppm=150_000,
        adjustment_no=1,
        source="COUPON",
        reason_code="FIRST_ORDER",
        allowed_by="anna",
    )


def test_a_discount_of_nothing_has_no_part() -> None:
    assert applied([100, 0], amount(0), basis_points(5_000)).parts[1] == []
    assert [it.adjustment_no for it in applied([100], amount(0), amount(1)).parts[0]] == [2]


@given(
    st.lists(st.integers(0, 1_000), min_size=1, max_size=6),
    st.lists(st.integers(0, 10_000), max_size=4),
)
def test_an_order_never_takes_more_off_a_line_than_there_is(
    grosses: list[int], weights: list[int]
) -> None:
    whole, parts = sum(grosses), sum(weights) or 1
    wanted = [amount(whole * weight // parts) for weight in weights]
    left = applied(grosses, *wanted)
    assert min(left.bases) >= 0
    assert sum(left.bases) == whole - sum(it.value for it in wanted)
    for gross, base, line in zip(grosses, left.bases, left.parts, strict=True):
        assert gross - base == sum(part.amount_minor for part in line)


@given(snapshots.cases())
def test_each_share_is_fair(case: snapshots.Case) -> None:
    """An order's discount takes from each line in proportion to what is left of it."""
    lines = case.request.lines
    (store,) = case.snapshot.stores.values()
    grosses = [100 * place for place in range(len(lines))]
    bare = [messages.WantedLine(line.sku, line.quantity_milli) for line in lines]
    left = list(grosses)
    for number in range(1, len(case.request.adjustments) + 1):
        upto = case.request.adjustments[:number]
        after = adjustments.apply(bare, grosses, upto, store)
        if isinstance(after, messages.Refusal):
            return
        taken = sum(left) - sum(after.bases)
        for before, base in zip(left, after.bases, strict=True):
            assert abs((before - base) * (sum(left) or 1) - taken * before) < (sum(left) or 1)
        left = after.bases
