"""Which digits a card number begins with, and how many digits such a number has.

A table and nothing else. Numbers below 13 digits are left out: no scheme issues them any more.
Sources: ISO/IEC 7812-1 (a number has 8 to 19 digits and opens with its issuer's identification);
the prefixes and lengths of each scheme as collected in the article "Payment card number" of the
English Wikipedia, and in github.com/braintree/credit-card-type, src/lib/card-types.ts (commit
fbd8ed8). Where the two differ, a length counts if one of them has it and test numbers or cards of
that length are known; the remarks say which.
"""

from collections.abc import Iterator

PREFIX_DIGITS = 4

Row = tuple[str, str, tuple[int, ...]]

TABLE: tuple[Row, ...] = (
    ("Visa", "4", (13, 16, 18, 19)),  # 13 digits until the nineties; their test number lives on
    ("Mastercard", "51-55 2221-2720", (16,)),
    ("American Express", "34 37", (15,)),
    ("Diners Club", "300-305 3095 36 38 39", (14, 16, 19)),
    ("JCB", "3528-3589", (16, 17, 18, 19)),
    ("JCB until 1989", "1800 2131", (15,)),
    ("Discover", "6011 644-649 65", (16, 17, 18, 19)),
    ("UnionPay", "62 810-817", (16, 17, 18, 19)),
    # Maestro may have any length; beyond its best known prefixes only the usual ones count, or
    # each tenth article number from the United Kingdom (50), Denmark (57) and China (69) would.
    ("Maestro", "5018 5020 5033 5038 5893 6304 6390 6703 6759 6761-6763", tuple(range(13, 20))),
    ("Maestro, Elo, Verve, Dankort", "50 56-59", (16, 17, 18, 19)),
    ("Maestro, Bancontact, Hipercard, Troy", "6", (16, 17, 18, 19)),
    ("RuPay", "508 60 65 81 82 353 356", (16,)),
    ("Mir", "2200-2204", (16, 17, 18, 19)),
    ("Borica", "2205", (16,)),
    ("Troy", "9792", (16,)),
)
"""(schemes, prefixes and ranges of prefixes, lengths in digits)."""


def _four_digits(prefixes: str) -> Iterator[int]:
    """Yield every four digits that these prefixes stand for."""
    for piece in prefixes.split():
        first, _, last = piece.partition("-")
        missing = PREFIX_DIGITS - len(first)
        yield from range(int(first + "0" * missing), int((last or first) + "9" * missing) + 1)


def _lengths() -> tuple[tuple[int, ...], ...]:
    found: list[set[int]] = [set() for _ in range(10**PREFIX_DIGITS)]
    for _, prefixes, lengths in TABLE:
        for prefix in _four_digits(prefixes):
            found[prefix].update(lengths)
    return tuple(tuple(sorted(lengths, reverse=True)) for lengths in found)


LENGTHS = _lengths()
"""How many digits a card number has that begins with these four; the longest first."""
