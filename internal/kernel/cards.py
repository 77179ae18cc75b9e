"""Finds card numbers in text. Pure.

A card number opens like one of a card scheme, has as many digits as that scheme issues
(card_issuers.py), and passes the Luhn check. It may be broken by single blanks and dashes ("4111
1111-1111 1111"), and its digits may be of any script; they must not be part of more digits.

Other numbers pass all of that by chance, so each kind of field leaves those alone that belong
there. Random ids in hex (UUIDs, hashes) are left alone everywhere.

The work grows with the length of the text and no faster, whatever the text is. This module must not
know where the text came from; the API rejects the numbers it finds, and the logs redact them.
Source: ISO/IEC 7812-1 (check digit, issuer identification).
"""

import enum
import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate

from internal.kernel import card_issuers, other_numbers

DIGITS_MIN = 13
DIGITS_MAX = 19
REDACTED = "[card number]"

_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_BREAK = r"[ \-\t\u00a0\u2000-\u2015\u2212]"
_GROUP = re.compile(r"[0-9]+")
_RUN = re.compile(rf"[0-9](?:{_BREAK}?[0-9]){{{DIGITS_MIN - 1},}}")
_HEX_ID = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{24,64})"
    r"(?![0-9A-Za-z])"
)
"""A UUID or a hash; without any letter it could also be a card number."""
_HEX_LETTER = re.compile("[A-Fa-f]")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


class FieldKind(enum.Enum):
    """What a text is for, which decides what else a long number in it may be."""

    PRODUCT_CODE = enum.auto()
    """A number of 13 or 14 digits that is a valid GTIN is not a card number here."""
    ID = enum.auto()
    """Only a hex id is left alone."""
    TEXT = enum.auto()
    """The digits of a valid IBAN are not a card number."""


_KINDS = {
    "sku": FieldKind.PRODUCT_CODE,
    "note": FieldKind.TEXT,
    "reason": FieldKind.TEXT,
}
_SKU_IN_JSON = re.compile(r'"sku":"[^"\\\\]{1,256}"')


def kind_of(field_name: str) -> FieldKind:
    """Return the kind of a field of a message: an id, if it is not known for something else."""
    return _KINDS.get(field_name, FieldKind.ID)


def find_card_number(text: str, kind: FieldKind = FieldKind.TEXT) -> bool:
    """Tell whether `text` contains something that looks like a card number."""
    if _has_few_digits(text) or _is_another_number(text):
        return False
    return next(_spans(_plain_digits(text), kind), None) is not None


def redact(text: str, kind: FieldKind = FieldKind.TEXT) -> str:
    """Return `text` with everything that looks like a card number replaced by REDACTED."""
    if _has_few_digits(text):
        return text
    pieces, kept_to = [], 0
    for first, last in _spans(_plain_digits(text), kind):
        pieces += [text[kept_to:first], REDACTED]
        kept_to = last
    return "".join([*pieces, text[kept_to:]]) if pieces else text


def redact_json(text: str) -> str:
    """Redact what may be JSON: as `redact`, and product codes as such."""
    if redact(text) == text:
        return text
    pieces, done_to = [], 0
    for found in _SKU_IN_JSON.finditer(text):
        code = redact(found[0], FieldKind.PRODUCT_CODE)
        pieces += [redact(text[done_to : found.start()]), code]
        done_to = found.end()
    return "".join([*pieces, redact(text[done_to:])])


def passes_luhn(digits: str) -> bool:
    """Tell whether the last of the ASCII `digits` is the check digit of the others."""
    return _luhn_sums(digits)[len(digits) % 2][-1] % 10 == 0


def _has_few_digits(text: str) -> bool:
    """Rule out nearly every text within a microsecond."""
    if len(text) < DIGITS_MIN:
        return True
    if not text.isascii():
        return False
    return len(text.encode().translate(None, _NOT_DIGITS)) < DIGITS_MIN


def _is_another_number(text: str) -> bool:
    """Rule out nearly every product code, which is one number of a length that no issuer uses."""
    if not (text.isascii() and text.isdigit()):
        return False
    return len(text) not in card_issuers.LENGTHS[int(text[: card_issuers.PREFIX_DIGITS])]


def _plain_digits(text: str) -> str:
    """Write the digits of other scripts in ASCII, one character for one character."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _spans(text: str, kind: FieldKind) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of the card numbers, from left to right, without overlaps."""
    text = _HEX_ID.sub(_blot_hex_id, text)
    if kind is FieldKind.TEXT:
        text = _without(text, other_numbers.ibans_in(text))
    for found in _RUN.finditer(text):
        groups = [match.span() for match in _GROUP.finditer(text, *found.span())]
        yield from _Run(text, groups).cards(kind)


def _blot_hex_id(found: re.Match[str]) -> str:
    return "x" * len(found[0]) if _HEX_LETTER.search(found[0]) else found[0]


def _without(text: str, spans: Iterator[tuple[int, int]]) -> str:
    """Return the text with these parts made unreadable, so that all places stay the same."""
    pieces, kept_to = [], 0
    for first, last in spans:
        if first >= kept_to:
            pieces += [text[kept_to:first], "x" * (last - first)]
            kept_to = last
    return "".join([*pieces, text[kept_to:]]) if pieces else text


class _Run:
    """Digits in groups. The work grows with the number of digits, however they are grouped."""

    def __init__(self, text: str, groups: list[tuple[int, int]]) -> None:
        self._groups = groups
        """(start, end) of each group in the text."""
        self._digits = "".join([text[first:last] for first, last in groups])
        ends = list(accumulate(last - first for first, last in groups))
        self._group_starts = [0, *ends[:-1]]
        """The place of each group's first digit."""
        self._group_ending_at = {end: group for group, end in enumerate(ends)}
        self._sums: tuple[list[int], list[int]] | None = None

    def cards(self, kind: FieldKind) -> Iterator[tuple[int, int]]:
        """Yield the (start, end) in the text of each card number."""
        group = 0
        while group < len(self._groups):
            last = self._last_group_of_card(group, kind)
            if last is not None:
                yield self._groups[group][0], self._groups[last][1]
                group = last
            group += 1

    def _last_group_of_card(self, group: int, kind: FieldKind) -> int | None:
        """Return the last group of the longest card number that begins with this one."""
        start = self._group_starts[group]
        prefix = self._digits[start : start + card_issuers.PREFIX_DIGITS]
        if len(prefix) < card_issuers.PREFIX_DIGITS:
            return None
        for length in card_issuers.LENGTHS[int(prefix)]:
            last = self._group_ending_at.get(start + length)
            if last is not None and self._is_card(start, start + length, kind):
                return last
        return None

    def _is_card(self, start: int, end: int, kind: FieldKind) -> bool:
        if self._sums is None:
            self._sums = _luhn_sums(self._digits)
        sums = self._sums[end % 2]
        if (sums[end] - sums[start]) % 10:
            return False
        is_product = kind is FieldKind.PRODUCT_CODE
        return not (is_product and other_numbers.is_gtin(self._digits[start:end]))


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Return running sums for numbers whose end is even, and for those whose end is odd.

    sums[end] - sums[start] is the Luhn sum of digits[start:end]: its last digit is not doubled,
    the one before it is, and so on.
    """
    plain = [ord(digit) - 48 for digit in digits]
    doubled = [_DOUBLED[value] for value in plain]
    for_even, for_odd = plain.copy(), doubled.copy()
    for_even[::2], for_odd[1::2] = doubled[::2], doubled[1::2]
    for_odd[::2] = plain[::2]
    return [0, *accumulate(for_even)], [0, *accumulate(for_odd)]
