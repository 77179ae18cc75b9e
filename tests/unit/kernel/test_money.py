"""Amounts from the wire and from text, and back: exact, or rejected by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import errors, money

CURRENCIES = st.sampled_from(sorted(money.EXPONENTS))
AMOUNTS = st.integers(min_value=money.INT64_MIN, max_value=money.INT64_MAX)


def test_the_table_holds_every_currency_in_use_once() -> None:
    by_exponent = [list(money.EXPONENTS.values()).count(exponent) for exponent in range(5)]
    assert by_exponent == [17, 0, 139, 7, 2]
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in money.EXPONENTS)
    assert not {"XAU", "XDR", "XTS", "XXX", "BGN", "HRK", "ANG"} & money.EXPONENTS.keys()


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [("EUR", 2), ("USD", 2), ("JPY", 0), ("UGX", 0), ("KWD", 3), ("TND", 3), ("CLF", 4)],
)
def test_exponents(currency: str, exponent: int) -> None:
    assert money.exponent_of(currency) == exponent


@pytest.mark.parametrize(
    ("currency", "units", "nanos", "minor"),
    [
        ("EUR", 12, 340_000_000, 1234),
        ("EUR", 0, 10_000_000, 1),
        ("EUR", 0, -10_000_000, -1),
        ("EUR", -12, -340_000_000, -1234),
        ("EUR", -12, 0, -1200),
        ("EUR", 0, 0, 0),
        ("JPY", 1200, 0, 1200),
        ("KWD", 1, 1_000_000, 1001),
        ("CLF", 1, 100_000, 10_001),
        ("EUR", 92_233_720_368_547_758, 70_000_000, money.INT64_MAX),
        ("EUR", -92_233_720_368_547_758, -80_000_000, money.INT64_MIN),
    ],
)
def test_parts(currency: str, units: int, nanos: int, minor: int) -> None:
    assert money.from_parts(currency, units, nanos) == minor
    assert money.to_parts(minor, currency) == (units, nanos)


@pytest.mark.parametrize(
    ("currency", "units", "nanos", "what"),
    [
        ("eur", 1, 0, "'eur' is not a currency in use (ISO 4217, upper case)"),
        ("", 1, 0, "'' is not a currency in use (ISO 4217, upper case)"),
        ("XAU", 1, 0, "'XAU' is not a currency in use (ISO 4217, upper case)"),
        ("EUR", 1, 1_000_000_000, "nanos must lie between -999,999,999 and 999,999,999"),
        ("EUR", -1, -1_000_000_000, "nanos must lie between -999,999,999 and 999,999,999"),
        ("EUR", 1, -10_000_000, "units and nanos must have the same sign"),
        ("EUR", -1, 10_000_000, "units and nanos must have the same sign"),
        ("EUR", 0, 1, "EUR has 2 decimals, the amount has more"),
        ("EUR", 0, -15_000_000, "EUR has 2 decimals, the amount has more"),
        ("JPY", 1, 500_000_000, "JPY has 0 decimals, the amount has more"),
        ("KWD", 0, 100_000, "KWD has 3 decimals, the amount has more"),
        (
            "EUR",
            92_233_720_368_547_758,
            80_000_000,
            "the amount is out of range: it does not fit into 64 bits",
        ),
    ],
)
def test_parts_that_are_not_an_amount(currency: str, units: int, nanos: int, what: str) -> None:
    with pytest.raises(errors.InvalidMoney) as caught:
        money.from_parts(currency, units, nanos, "lines[0].price")
    assert caught.value.violations == [("lines[0].price", what)]


@given(AMOUNTS, CURRENCIES)
def test_parts_and_text_round_trip(minor: int, currency: str) -> None:
    units, nanos = money.to_parts(minor, currency)
    assert money.from_parts(currency, units, nanos) == minor
    assert money.from_text(money.to_text(minor, currency), currency) == minor


@given(
    CURRENCIES,
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.integers(min_value=-(2**31), max_value=2**31 - 1),
)
def test_any_parts_are_exact_or_refused(currency: str, units: int, nanos: int) -> None:
    try:
        minor = money.from_parts(currency, units, nanos)
    except errors.InvalidMoney:
        return
    assert money.to_parts(minor, currency) == (units, nanos)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.34", "EUR", 1234),
        ("12.3", "EUR", 1230),
        ("12", "EUR", 1200),
        ("0012.340000", "EUR", 1234),
        ("-0.05", "EUR", -5),
        ("-0", "EUR", 0),
        ("1200", "JPY", 1200),
        ("1200.0", "JPY", 1200),
        ("1.250", "KWD", 1250),
    ],
)
def test_text(text: str, currency: str, minor: int) -> None:
    assert money.from_text(text, currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1234, "EUR", "12.34"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (-123_456, "EUR", "-1234.56"),
        (0, "EUR", "0.00"),
        (-7, "JPY", "-7"),
        (1250, "KWD", "1.250"),
        (money.INT64_MIN, "EUR", "-92233720368547758.08"),
    ],
)
def test_to_text(minor: int, currency: str, text: str) -> None:
    assert money.to_text(minor, currency) == text


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "12.", ".5", "+1", "1e3", "1,000", " 1", "1\n", "1_0", "١٢", "NaN", "9" * 31],
)
def test_text_that_is_not_a_decimal(text: str) -> None:
    with pytest.raises(errors.InvalidMoney, match=r"price: an amount is a plain decimal"):
        money.from_text(text, "EUR", "price")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("12.345", "EUR has 2 decimals, the amount has more"),
        ("9" * 30, "the amount is out of range: it does not fit into 64 bits"),
    ],
)
def test_text_that_is_not_an_amount(text: str, what: str) -> None:
    with pytest.raises(errors.InvalidMoney) as caught:
        money.from_text(text, "EUR", "price")
    assert caught.value.violations == [("price", what)]


def test_an_unknown_currency_has_no_text() -> None:
    with pytest.raises(errors.InvalidMoney):
        money.to_text(1, "EUX")
    with pytest.raises(errors.InvalidMoney):
        money.to_parts(1, "EUX")


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_checked_amounts_fit_into_64_bits(amount: int) -> None:
    if amount.bit_length() <= 63 or amount == money.INT64_MIN:
        assert money.checked(amount) == amount
    else:
        with pytest.raises(errors.InvalidMoney, match="total: the amount is out of range"):
            money.checked(amount, "total")
