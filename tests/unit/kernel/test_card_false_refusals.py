"""How often a number that is not a card number is taken for one. Shown by -rP."""

import random
import string
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest

from internal.kernel import cards, other_numbers

pytestmark = pytest.mark.slow

EACH = 250_000
SEED = 7
IMEI_REPORTING_BODIES = ("01", "35", "86", "99", "49", "44", "45", "33", "52", "53")
"""Source: GSMA TS.06, Reporting Body Identifiers."""
Kind = cards.FieldKind


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices(string.digits, k=count))


def gtin(chance: random.Random) -> str:
    body = digits(chance, chance.choice([7, 11, 12, 13]))
    return next(body + last for last in string.digits if other_numbers.is_gtin(body + last))


def imei(chance: random.Random) -> str:
    body = chance.choice(IMEI_REPORTING_BODIES) + digits(chance, 12)
    number = next(body + last for last in string.digits if cards.passes_luhn(body + last))
    pieces = number[:2], number[2:8], number[8:14], number[14:]
    return f"IMEI {chance.choice(['', '-', ' ']).join(pieces)}"


def iban(chance: random.Random) -> str:
    country = chance.choice(["DE", "AT", "CH", "ES", "FR", "PL", "IT", "PT", "SE", "BE", "TR"])
    body = digits(chance, other_numbers.IBAN_CHARS[country] - 4)
    turned = f"{body}{country}00"
    check = 98 - int("".join(str(int(char, 36)) for char in turned)) % 97
    number = f"{country}{check:02}{body}"
    fours = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return f"IBAN {chance.choice([number, fours])}"


def shop_order(chance: random.Random) -> str:
    """As shops number theirs: 10 to 19 digits, alone or behind a word."""
    lead = chance.choice(["", "shopify-", "order ", "#"])
    return lead + str(chance.randint(1, 9)) + digits(chance, chance.randint(9, 18))


class Case(NamedTuple):
    """Numbers of one sort, the fields in which they stand, and what may be refused there."""

    make: Callable[[random.Random], str]
    rate_max: dict[cards.FieldKind, float]


CASES = {
    "GTIN": Case(gtin, {Kind.PRODUCT_CODE: 0.0, Kind.TEXT: 0.01}),
    "IMEI": Case(imei, {Kind.TEXT: 0.001}),
    "IBAN": Case(iban, {Kind.TEXT: 0.0}),
    "shop order": Case(shop_order, {Kind.ID: 0.03}),
}


@pytest.mark.parametrize("name", CASES)
def test_false_refusals(name: str, request: pytest.FixtureRequest) -> None:
    chance, case = random.Random(f"{SEED}/{name}"), CASES[name]
    tried, found = Counter[int](), Counter[tuple[Kind, int]]()
    for _ in range(EACH):
        text = case.make(chance)
        length = sum(char.isdigit() for char in text)
        tried[length] += 1
        for kind in case.rate_max:
            found[kind, length] += cards.find_card_number(text, kind)
    for kind, rate_max in case.rate_max.items():
        refused = sum(count for (of_kind, _), count in found.items() if of_kind is kind)
        rates = [
            f"{length} digits {found[kind, length] / count:.2%}"
            for length, count in sorted(tried.items())
            if found[kind, length]
        ]
        told = f"{name} as {kind.name}: {refused / EACH:.3%} of {EACH}; {', '.join(rates)}"
        request.node.add_report_section("call", kind.name, told)
        assert refused <= EACH * rate_max
