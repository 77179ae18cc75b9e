"""Card numbers are found however people write them, and other long numbers are left alone."""

import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import card_issuers, cards, other_numbers
from tests.support import card_numbers

Kind = cards.FieldKind
VISA = "4111111111111111"
DE_IBAN = "DE44 5001 0517 5407 3249 31"


def with_check_digit(body: str) -> str:
    """Append the digit that makes `body` pass."""
    return next(body + digit for digit in "0123456789" if cards.passes_luhn(body + digit))


@st.composite
def issued(draw: st.DrawFn) -> str:
    """Return a number with a prefix and a length of the table, and a right check digit."""
    prefix = draw(st.sampled_from(PREFIXES))
    length = draw(st.sampled_from(card_issuers.LENGTHS[int(prefix)]))
    rest = draw(st.text("0123456789", min_size=length - 5, max_size=length - 5))
    return with_check_digit(prefix + rest)


PREFIXES = [f"{n:04}" for n, lengths in enumerate(card_issuers.LENGTHS) if lengths]
numbers = issued()
kinds = st.sampled_from(Kind)
harmless = st.text(st.characters(exclude_categories=("Nd", "Pd", "Zs", "Cc")), max_size=30)


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "5555555555554444",
        "378282246310005",
        "6011111111111117",
        "4222222222222",
        "6304000000000000000",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\u20131111\u20131111\u20131111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "card:4111111111111111.",
        "tok_4111111111111111",
        "card4111111111111111x",
        "2 4111 1111 1111 1111 12/27 123",
        "\uff14\uff11\uff11\uff11 1111 1111 1111",
        "\u0664\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661",
    ],
)
def test_found(text: str) -> None:
    assert cards.find_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order-42",
        "4111111111111112",
        "4111  1111  1111  1111",
        "411111111111",
        VISA + "11111",
        with_check_digit("176371234512345"),
        "9c4242424242424242ab12cd34ef5678",
        "1c6b1f0e-4242-4242-8424-242424242424",
        "2026-10-18T07:00:00",
        "tok_visa_ok",
    ],
)
def test_left_alone(text: str) -> None:
    assert not cards.find_card_number(text)
    assert cards.redact(text) == text


def test_redacted_without_its_surroundings() -> None:
    text = f"paid with {VISA}, then 5555-5555-5555-4444; receipt 17"
    assert cards.redact(text) == "paid with [card number], then [card number]; receipt 17"


@given(before=harmless, number=numbers, after=harmless)
def test_any_number_in_any_text_is_found_and_redacted(before: str, number: str, after: str) -> None:
    text = before + number + after
    assert cards.find_card_number(text)
    assert cards.redact(text) == before + cards.REDACTED + after


@given(number=numbers, data=st.data())
def test_single_blanks_and_dashes_hide_nothing(number: str, data: st.DataObject) -> None:
    broken = "".join(digit + data.draw(st.sampled_from(["", " ", "-"])) for digit in number)
    assert cards.find_card_number(broken)


@given(st.text() | st.text("0123456789 -DEIBAN"), kinds)
def test_redacted_text_contains_no_number(text: str, kind: Kind) -> None:
    assert not cards.find_card_number(cards.redact(text, kind), kind)


@given(st.text("0123456789", min_size=12, max_size=20) | numbers | st.text("0123456789 -"), kinds)
def test_what_is_found_is_what_is_redacted(text: str, kind: Kind) -> None:
    assert cards.find_card_number(text, kind) == (cards.redact(text, kind) != text)


@given(number=numbers, place=st.integers(0, 18), by=st.integers(1, 9))
def test_one_wrong_digit_is_not_a_number(number: str, place: int, by: int) -> None:
    place %= len(number)
    wrong = str((int(number[place]) + by) % 10)
    assert not cards.passes_luhn(number[:place] + wrong + number[place + 1 :])


@given(st.uuids())
def test_a_random_id_is_not_a_card_number(name: uuid.UUID) -> None:
    assert not cards.find_card_number(str(name)) or not any(c in "abcdef" for c in name.hex)
    assert not cards.find_card_number(name.hex) or not any(c in "abcdef" for c in name.hex)


@pytest.mark.parametrize("number", card_numbers.OF_SCHEMES.values(), ids=card_numbers.OF_SCHEMES)
@pytest.mark.parametrize("kind", Kind)
def test_the_schemes_own_test_numbers_are_found_in_every_kind_of_field(
    number: str, kind: Kind
) -> None:
    blanks = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    dashes = blanks.replace(" ", "-")
    wide = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in number)
    for text in (number, blanks, dashes, wide, f"card:{number}.", f"a{number}z"):
        assert cards.find_card_number(text, kind), text
        assert cards.REDACTED in cards.redact(text, kind)


@pytest.mark.parametrize(
    ("prefix", "lengths"),
    [
        ("4", {13, 16, 18, 19}),
        ("5100", {16}),
        ("2221", {16}),
        ("2720", {16}),
        ("2721", set()),
        ("2220", set()),
        ("3782", {15}),
        ("3056", {14, 16, 19}),
        ("3530", {16, 17, 18, 19}),
        ("3520", set()),
        ("8209", {16}),
        ("1764", set()),
        ("0000", set()),
    ],
)
def test_lengths_of_a_prefix(prefix: str, lengths: set[int]) -> None:
    assert set(card_issuers.LENGTHS[int(prefix.ljust(4, "0"))]) == lengths


@pytest.mark.parametrize(
    "text",
    [
        "IMEI 490154203237518",
        "IMEI 35-209900-176148-1",
        "820982911946154508",
        "shopify-820982911946154508",
        "2611008003214",
        "5449000000996",
    ],
)
@pytest.mark.parametrize("kind", Kind)
def test_numbers_of_a_length_that_the_issuer_does_not_use(text: str, kind: Kind) -> None:
    assert not cards.find_card_number(text, kind)


@pytest.mark.parametrize(
    "text",
    [
        f"IBAN {DE_IBAN}",
        f"please pay to {DE_IBAN.lower()} by friday",
        f"{DE_IBAN}, {DE_IBAN}",
        DE_IBAN.replace(" ", "\u00a0"),
        DE_IBAN.replace(" ", "-"),
    ],
)
def test_the_digits_of_an_iban_in_a_text(text: str) -> None:
    assert not cards.find_card_number(text)
    assert cards.find_card_number(f"{text} {VISA}")
    assert cards.redact(f"{text} {VISA}") == f"{text} {cards.REDACTED}"


def test_a_number_behind_letters_that_are_no_valid_iban() -> None:
    assert cards.find_card_number("DE45 5001 0517 5407 3249 31")
    assert cards.find_card_number("XX44 4111 1111 1111 1111")
    assert cards.find_card_number(DE_IBAN, Kind.ID)


def test_a_gtin_that_could_be_a_card_number_is_one_only_beside_product_codes() -> None:
    gtin = next(
        text
        for text in (f"400638{number:07}" for number in range(1_000))
        if other_numbers.is_gtin(text) and cards.passes_luhn(text)
    )
    spaced = f"{gtin[0]} {gtin[1:7]} {gtin[7:]}"
    for text in (gtin, spaced, f"{gtin} blue", f"GTIN {gtin}/L"):
        assert not cards.find_card_number(text, Kind.PRODUCT_CODE)
        assert cards.redact(text, Kind.PRODUCT_CODE) == text
        assert cards.find_card_number(text, Kind.ID)
        assert cards.find_card_number(text, Kind.TEXT)


@pytest.mark.parametrize(
    ("digits", "is_gtin"),
    [
        ("5449000000996", True),
        ("96385074", True),
        ("036000291452", True),
        ("10614141000415", True),
        ("5449000000997", False),
        ("0", False),
        ("061414100041", False),
        ("", False),
        (VISA, False),
    ],
)
def test_gtins(digits: str, is_gtin: bool) -> None:  # noqa: FBT001 - a column of the table
    assert other_numbers.is_gtin(digits) is is_gtin


HOSTILE = (
    "-0",
    "0-",
    "4-",
    "4 1-",
    "a0-",
    "AB12 ",
    "DE44 ",
    "4",
    "f-",
    "12345678-1234-",
    "\u0664 ",
)


@pytest.mark.parametrize("unit", HOSTILE)
def test_twice_the_text_is_twice_the_work(unit: str) -> None:
    """Counted in executed lines; the searches of the `re` module have a test of their own."""
    small, large = (lines_executed_for((unit * 8_000)[:size]) for size in (4_000, 8_000))
    assert large <= 2.1 * small + 100


def lines_executed_for(text: str) -> int:
    count = 0

    def trace(*_: object) -> Any:  # noqa: ANN401 - a trace function returns one
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        cards.redact(text)
    finally:
        sys.settrace(before)
    return count
