"""Card numbers are found however people write them, and ordinary text is left alone."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import cards

VISA = "4111111111111111"


def with_check_digit(body: str) -> str:
    """Append the digit that makes `body` pass."""
    return next(body + digit for digit in "0123456789" if cards.passes_luhn(body + digit))


issuers = st.sampled_from(["2221", "34", "36", "4", "51", "6011", "62", "8100", "9792"])
bodies = st.builds(str.__add__, issuers, st.text("0123456789", min_size=11, max_size=14))
numbers = bodies.map(with_check_digit)
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


@given(st.text())
def test_redacted_text_contains_no_number(text: str) -> None:
    assert not cards.find_card_number(cards.redact(text))


@given(number=numbers, place=st.integers(0, 18), by=st.integers(1, 9))
def test_one_wrong_digit_is_not_a_number(number: str, place: int, by: int) -> None:
    place %= len(number)
    wrong = str((int(number[place]) + by) % 10)
    assert not cards.passes_luhn(number[:place] + wrong + number[place + 1 :])


@given(st.uuids())
def test_a_random_id_is_not_a_card_number(name: uuid.UUID) -> None:
    assert not cards.find_card_number(str(name)) or not any(c in "abcdef" for c in name.hex)
    assert not cards.find_card_number(name.hex) or not any(c in "abcdef" for c in name.hex)
