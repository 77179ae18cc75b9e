"""Decimal commas: read where they have one meaning, refused where they have two."""

import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.cli.formats import decimals


def read(text: str, exponent: int = 2, *, may_be_comma: bool = True) -> tuple[str, str]:
    return decimals.Convention(may_be_comma=may_be_comma).with_point(text, exponent, 1)


@pytest.mark.parametrize(
    ("text", "exponent", "number"),
    [
        ("1,25", 2, "1.25"),
        ("-0,5", 2, "-0.5"),
        ("1250,00", 2, "1250.00"),
        ("1,2500", 4, "1.2500"),
        ("0,495", 2, "0.495"),
        ("-0.495", 2, "-0.495"),
        ("1.25", 2, "1.25"),
        ("1.250", 3, "1.250"),
        ("1250", 2, "1250"),
        ("x", 2, "x"),
        ("", 2, ""),
    ],
)
def test_numbers_with_one_meaning(text: str, exponent: int, number: str) -> None:
    assert read(text, exponent) == (number, "")


@pytest.mark.parametrize(
    ("text", "exponent", "fault"),
    [
        ("1,250", 2, "1,250 has two meanings: write 1.25 or 1250"),
        ("1,250", 3, "1,250 has two meanings: write 1.25 or 1250"),
        ("1.250", 2, "1.250 has two meanings: write 1.25 or 1250"),
        ("1.000", 0, "1.000 has two meanings: write 1 or 1000"),
        ("1.250,00", 2, "write it without separators of thousands, such as 1234.50"),
        ("1,250.00", 2, "write it without separators of thousands, such as 1234.50"),
    ],
)
def test_numbers_with_two_meanings(text: str, exponent: int, fault: str) -> None:
    assert read(text, exponent) == (text, fault)


def test_where_commas_separate_columns_they_are_not_decimal() -> None:
    assert read("1,25", may_be_comma=False) == ("1,25", "write a decimal point: 1.25")
    assert read("1.250", may_be_comma=False) == ("1.250", "")


def test_one_table_has_one_separator() -> None:
    convention = decimals.Convention(may_be_comma=True)
    assert convention.with_point("7", 2, 2) == ("7", "")
    assert convention.with_point("1,25", 2, 3) == ("1.25", "")
    assert convention.with_point("1.25", 2, 4) == (
        "1.25",
        "a decimal point, but line 3 has a decimal comma",
    )
    assert convention.with_point("2,5", 2, 5) == ("2.5", "")


@given(st.text("0123456789.,-", max_size=8), st.integers(0, 4), st.sampled_from(",;"))
def test_a_number_never_becomes_another_one(text: str, exponent: int, separator: str) -> None:
    found, fault = read(text, exponent, may_be_comma=separator != ",")
    if not fault and found != text:
        assert decimal.Decimal(found) == decimal.Decimal(text.replace(",", "."))
    if fault:
        assert found == text
