"""Long numbers with a check of their own that are not card numbers: GTINs and IBANs. Pure.

Sources: GS1 General Specifications, 7.9 (check digit); ISO 13616-1 and ISO/IEC 7064 (mod 97-10);
the lengths by country from SWIFT's IBAN registry.
"""

import re
from collections.abc import Iterator

GTIN_DIGITS = frozenset({8, 12, 13, 14})
_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL FK SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_CHARS = {
    country: chars for chars, countries in _IBAN_LENGTHS.items() for country in countries.split()
}
"""How many characters an IBAN has, by its country."""

_HEAD = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}")
_HEAD_CHARS = 4
_REST = {
    chars: re.compile(
        rf"(?:[ \-\u00a0\u2009\u202f]?[0-9A-Za-z]){{{chars - _HEAD_CHARS}}}(?![0-9A-Za-z])"
    )
    for chars in _IBAN_LENGTHS
}
_NOT_IN_IBAN = re.compile("[^0-9A-Z]")
_MODULUS = 97


def is_gtin(digits: str) -> bool:
    """Tell whether ASCII digits are an article number (EAN, UPC) with a valid check digit."""
    if len(digits) not in GTIN_DIGITS:
        return False
    values = [ord(digit) - 48 for digit in reversed(digits)]
    return (sum(values[::2]) + 3 * sum(values[1::2])) % 10 == 0


def ibans_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each valid IBAN, in fours or in one piece."""
    for head in _HEAD.finditer(text):
        chars = IBAN_CHARS.get(head[0][:2].upper())
        rest = _REST[chars].match(text, head.end()) if chars else None
        if rest and _passes_mod_97(head[0] + rest[0]):
            yield head.start(), rest.end()


def _passes_mod_97(iban: str) -> bool:
    plain = _NOT_IN_IBAN.sub("", iban.upper())
    turned = plain[_HEAD_CHARS:] + plain[:_HEAD_CHARS]
    return int("".join(str(int(char, 36)) for char in turned)) % _MODULUS == 1
