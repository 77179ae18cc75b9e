"""Rounding, judged by the decimal module, and splitting, judged by exact fractions."""

import decimal
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from internal.kernel import errors, money
from internal.kernel.money import RoundingMode

ORACLE = decimal.Context(prec=200)
"""Enough digits that no quotient of the numbers below looks like a tie without being one."""

NUMERATORS = st.integers(min_value=-(10**24), max_value=10**24)
DENOMINATORS = st.integers(min_value=1, max_value=10**12)
MODES = st.sampled_from(RoundingMode)
WEIGHTS = st.lists(st.integers(min_value=0, max_value=10**15), min_size=1, max_size=12)


def by_decimal(numerator: int, denominator: int, mode: RoundingMode) -> int:
    exact = ORACLE.divide(decimal.Decimal(numerator), decimal.Decimal(denominator))
    return int(exact.to_integral_value(rounding=f"ROUND_{mode}"))


@pytest.mark.parametrize(
    ("mode", "rounded"),
    [
        (RoundingMode.HALF_EVEN, [-3, -2, -2, -1, 0, 0, 0, 1, 2, 2, 3]),
        (RoundingMode.HALF_UP, [-3, -3, -2, -1, -1, 0, 1, 1, 2, 3, 3]),
        (RoundingMode.HALF_DOWN, [-3, -2, -2, -1, 0, 0, 0, 1, 2, 2, 3]),
        (RoundingMode.UP, [-3, -3, -2, -2, -1, 0, 1, 2, 2, 3, 3]),
        (RoundingMode.DOWN, [-2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2]),
    ],
)
def test_modes_by_hand(mode: RoundingMode, rounded: list[int]) -> None:
    # -2.75, -2.5, -2, -1.25, -0.5, 0, 0.5, 1.25, 2, 2.5, 2.75
    quarters = [-11, -10, -8, -5, -2, 0, 2, 5, 8, 10, 11]
    assert [money.divide_round(quarter, 4, mode) for quarter in quarters] == rounded


def test_half_even_looks_at_the_neighbour() -> None:
    ties = [money.divide_round(numerator, 2, RoundingMode.HALF_EVEN) for numerator in (1, 3, 5, 7)]
    assert ties == [0, 2, 2, 4]
    ties = [money.divide_round(numerator, 2, RoundingMode.HALF_DOWN) for numerator in (1, 3, 5, 7)]
    assert ties == [0, 1, 2, 3]


@given(NUMERATORS, DENOMINATORS, MODES)
def test_rounds_as_decimal_does(numerator: int, denominator: int, mode: RoundingMode) -> None:
    rounded = money.divide_round(numerator, denominator, mode)
    assert rounded == by_decimal(numerator, denominator, mode)
    assert money.divide_round(-numerator, -denominator, mode) == rounded
    assert money.divide_round(-numerator, denominator, mode) == -rounded


@given(st.integers(min_value=-(10**20), max_value=10**20), DENOMINATORS, MODES)
def test_ties_round_as_decimal_does(whole: int, half: int, mode: RoundingMode) -> None:
    numerator, denominator = (2 * whole + 1) * half, 2 * half
    rounded = money.divide_round(numerator, denominator, mode)
    assert rounded == by_decimal(numerator, denominator, mode)


@given(NUMERATORS, DENOMINATORS, MODES)
def test_whole_numbers_stay(whole: int, denominator: int, mode: RoundingMode) -> None:
    assert money.divide_round(whole * denominator, denominator, mode) == whole


def test_nothing_is_divided_by_zero() -> None:
    with pytest.raises(ZeroDivisionError):
        money.divide_round(1, 0, RoundingMode.HALF_UP)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (2, [1, 1, 1], [1, 1, 0]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (10, [1, 2, 3], [2, 3, 5]),
        (5, [0, 3, 0, 1], [0, 4, 0, 1]),
        (5, [0, 0, 0], [2, 2, 1]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (7, [9], [7]),
        (185, [597, 1250], [60, 125]),
    ],
)
def test_shares_by_hand(total: int, weights: list[int], shares: list[int]) -> None:
    assert money.allocate(total, weights) == shares


@given(st.integers(min_value=-(10**15), max_value=10**15), WEIGHTS)
def test_shares_are_exact_fair_and_mirrored(total: int, weights: list[int]) -> None:
    shares = money.allocate(total, weights)
    assert sum(shares) == total
    assert money.allocate(-total, weights) == [-share for share in shares]
    if any(weights):
        assert_fair(shares, [Fraction(total * weight, sum(weights)) for weight in weights])
        assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if not weight)
    else:
        assert_fair(shares, [Fraction(total, len(weights))] * len(weights))


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=20))
def test_among_equals_the_earlier_gets_more(total: int, heads: int) -> None:
    shares = money.allocate(total, [1] * heads)
    assert shares == sorted(shares, reverse=True)


@given(WEIGHTS, st.data())
def test_no_share_outgrows_its_weight(weights: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(min_value=0, max_value=sum(weights)))
    shares = money.allocate(total, weights)
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [2, -1]), (0, [-1])])
def test_invalid_shares(total: int, weights: list[int]) -> None:
    with pytest.raises(errors.InvalidMoney) as caught:
        money.allocate(total, weights)
    assert caught.value.violations[0][0] == "weights"


@given(st.lists(NUMERATORS, min_size=1, max_size=12), DENOMINATORS, MODES)
def test_fractions_round_together(
    numerators: list[int], denominator: int, mode: RoundingMode
) -> None:
    total = money.divide_round(sum(numerators), denominator, mode)
    shares = money.apportion(total, numerators, denominator)
    assert sum(shares) == total
    assert_fair(shares, [Fraction(numerator, denominator) for numerator in numerators])


@given(st.lists(NUMERATORS, min_size=1, max_size=6), DENOMINATORS, st.integers())
def test_fractions_never_sum_to_anything_else(
    numerators: list[int], denominator: int, total: int
) -> None:
    floor = sum(numerator // denominator for numerator in numerators)
    assume(not floor <= total <= floor + len(numerators))
    with pytest.raises(errors.InvalidMoney, match="total: "):
        money.apportion(total, numerators, denominator)


def assert_fair(shares: Sequence[int], exact: Sequence[Fraction]) -> None:
    """Every share is one of the two whole neighbours of its exact value."""
    assert all(abs(share - due) < 1 for share, due in zip(shares, exact, strict=True))
