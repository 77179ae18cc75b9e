"""Quantities are read and shown exactly, in thousandths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import quantities


@pytest.mark.parametrize(
    ("decimal", "milli"),
    [("2", 2_000), ("0.5", 500), ("1.25", 1_250), ("0.001", 1), ("007", 7_000)],
)
def test_a_decimal_is_read(decimal: str, milli: int) -> None:
    assert quantities.parse(decimal) == milli


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5", "1.0001", "1e3", "1,5", " 1", "\u0661"])
def test_other_texts_are_not_quantities(text: str) -> None:
    assert quantities.parse(text) is None


@given(st.integers(0, 10**14))
def test_what_is_shown_is_read_again(milli: int) -> None:
    assert quantities.parse(quantities.text(milli)) == milli


@pytest.mark.parametrize(
    ("milli", "text"), [(-500, "-0.5"), (-2_000, "-2"), (0, "0"), (10, "0.01")]
)
def test_a_quantity_is_shown(milli: int, text: str) -> None:
    assert quantities.text(milli) == text
