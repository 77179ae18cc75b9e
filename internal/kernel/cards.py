"""Finds card numbers in text: runs of 13 to 19 digits that pass the Luhn check. Pure.

A run may be broken by single blanks and dashes ("4111 1111-1111 1111"), and its digits may be of
any script. A match must begin like a number that card schemes issue, and random ids in hex (UUIDs,
hashes) are left alone: one in 500 of them, and one in ten of all timestamps, would pass the Luhn
check by chance. This module must not know where the text came from; the API rejects the numbers it
finds, and the logs redact them.
Source: ISO/IEC 7812-1 (length, check digit, issuer identification).
"""

import re
import unicodedata

DIGITS_MIN = 13
DIGITS_MAX = 19
REDACTED = "[card number]"

_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_BREAK = r"[ \-\t\u00a0\u2000-\u2015\u2212]"
_GROUP = re.compile(r"[0-9]+")
_RUN = re.compile(rf"[0-9](?:{_BREAK}?[0-9]){{{DIGITS_MIN - 1},}}")
_ISSUED = re.compile(r"2[2-7]|[3-6]|8[12]|9792")
"""Mastercard, Mir / Amex, Diners, JCB, Visa, Maestro, Discover, UnionPay / RuPay / Troy."""
_HEX_ID = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9\-]*[A-Fa-f])"
    r"(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{24,64})(?![0-9A-Za-z])"
)
"""A UUID or a hash; without any letter it could also be a card number."""
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def find_card_number(text: str) -> bool:
    """Tell whether `text` contains something that looks like a card number."""
    if _has_few_digits(text):
        return False
    return bool(_spans(_plain_digits(text)))


def redact(text: str) -> str:
    """Return `text` with everything that looks like a card number replaced by REDACTED."""
    if _has_few_digits(text):
        return text
    for first, last in reversed(_spans(_plain_digits(text))):
        text = f"{text[:first]}{REDACTED}{text[last:]}"
    return text


def passes_luhn(digits: str) -> bool:
    """Tell whether the last of the ASCII `digits` is the check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += _DOUBLED[value] if place % 2 else value
    return total % 10 == 0


def _has_few_digits(text: str) -> bool:
    """Rule out nearly every text within a microsecond."""
    if len(text) < DIGITS_MIN:
        return True
    if not text.isascii():
        return False
    return len(text.encode().translate(None, _NOT_DIGITS)) < DIGITS_MIN


def _plain_digits(text: str) -> str:
    """Write the digits of other scripts in ASCII, one character for one character."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _spans(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) of the card numbers, from left to right, without overlaps."""
    found = []
    text = _HEX_ID.sub(lambda match: "x" * len(match[0]), text)
    for run in _RUN.finditer(text):
        groups = [match.span() for match in _GROUP.finditer(text, *run.span())]
        place = 0
        while place < len(groups):
            width = _card_at(text, groups, place)
            if width:
                found.append((groups[place][0], groups[place + width - 1][1]))
            place += width or 1
    return found


def _card_at(text: str, groups: list[tuple[int, int]], place: int) -> int:
    """Return how many groups from `place` on form the longest card number; 0 for none."""
    width, digits = 0, ""
    for count, (first, last) in enumerate(groups[place : place + DIGITS_MAX], start=1):
        digits += text[first:last]
        if len(digits) > DIGITS_MAX:
            break
        if len(digits) >= DIGITS_MIN and _ISSUED.match(digits) and passes_luhn(digits):
            width = count
    return width
