"""Unit prices below the currency's digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import errors, unit_prices
from internal.kernel.unit_prices import UnitPrice

CURRENCIES = st.sampled_from(["JPY", "EUR", "KWD"])


@pytest.mark.parametrize(
    ("text", "currency", "price"),
    [
        ("0.23267", "EUR", UnitPrice(23_267, 3)),
        ("0.495", "EUR", UnitPrice(495, 1)),
        ("12", "EUR", UnitPrice(1_200)),
        ("12.500", "EUR", UnitPrice(1_250)),
        ("-0.005", "EUR", UnitPrice(-5, 1)),
        ("0.5", "JPY", UnitPrice(5, 1)),
        ("0.000001", "JPY", UnitPrice(1, 6)),
        ("1.000000001", "KWD", UnitPrice(1_000_000_001, 6)),
    ],
)
def test_a_price_is_read_exactly(text: str, currency: str, price: UnitPrice) -> None:
    assert unit_prices.from_text(text, currency) == price


@pytest.mark.parametrize(
    ("text", "currency", "words"),
    [
        ("0.000000001", "EUR", "6 decimals more"),
        ("0.0000001", "JPY", "6 decimals more"),
        ("0.0000000001", "EUR", "9 places"),
        ("1.5", "XXX", "not a currency"),
        ("92233720368547758.08", "EUR", "64 bits"),
        ("92233720368547758.071", "EUR", "64 bits"),
    ],
)
def test_a_price_that_cannot_be_held(text: str, currency: str, words: str) -> None:
    with pytest.raises(errors.InvalidMoney, match=words):
        unit_prices.from_text(text, currency, "price")


@given(st.integers(-(10**12), 10**12), st.integers(0, 6), CURRENCIES)
def test_every_price_is_written_and_read_again(scaled: int, scale: int, currency: str) -> None:
    price = UnitPrice(scaled, scale)
    text = unit_prices.to_text(price, currency)
    read = unit_prices.from_text(text, currency)
    assert read.scaled * 10**scale == scaled * 10**read.scale
    assert read == unit_prices.from_parts(currency, *unit_prices.to_parts(price, currency))
    assert unit_prices.from_text(unit_prices.to_text(read, currency), currency) == read


@pytest.mark.parametrize(
    ("price", "currency", "text"),
    [
        (UnitPrice(23_267, 3), "EUR", "0.23267"),
        (UnitPrice(199), "EUR", "1.99"),
        (UnitPrice(-5, 1), "EUR", "-0.005"),
        (UnitPrice(158), "JPY", "158"),
        (UnitPrice(5, 1), "JPY", "0.5"),
    ],
)
def test_a_price_is_written_with_all_its_decimals(
    price: UnitPrice, currency: str, text: str
) -> None:
    assert unit_prices.to_text(price, currency) == text


def test_a_quantity_costs_an_exact_fraction() -> None:
    assert unit_prices.gross_fraction(UnitPrice(23_267, 3), 1_000_000) == (
        23_267_000_000,
        1_000_000,
    )
