"""The rules of stores and tax rates: the values that they may have. Pure.

A violation is (option of the command line, what is wrong).
"""

import re
from collections.abc import Iterator, Sequence

from internal.catalogue.messages import PPM, Store, TaxCategory, TaxRate
from internal.kernel import money

Violation = tuple[str, str]

DAY_MINUTES = 1_440
HOLD_MAX_S = 31_536_000
"""A year, as the API has it."""
CASH_STEP_UNITS_MAX = 1_000
"""No coin or note is worth more, in whole units of its currency, where cash is rounded."""
_COIN = re.compile("(1|2|5|25)0*")
"""Coins and notes are worth 1, 2, 2.5 or 5 times a power of ten."""


def flaws_of_store(store: Store) -> Iterator[Violation]:
    """Yield what is wrong with a store."""
    if store.currency not in money.EXPONENTS:
        what = f"{store.currency!r} is not a currency in use (ISO 4217, upper case)"
        yield "--currency", what
    elif not is_cash_step(store.cash_rounding_step_minor, store.currency):
        step = money.to_text(store.cash_rounding_step_minor, store.currency)
        what = f"no coin is worth {step} {store.currency}: 1, 2, 2.5 or 5 times a power of ten"
        yield "--cash-rounding", f"{what}, and {CASH_STEP_UNITS_MAX} {store.currency} at most"
    if not 0 <= store.day_cut_off_minutes < DAY_MINUTES:
        yield "--day-cut-off", "it is between 00:00 and 23:59"
    if not 1 <= store.hold_default_s <= store.hold_longest_s <= HOLD_MAX_S:
        yield "--hold-default", "1s or more, --hold-longest at most, and that is a year at most"


def is_cash_step(step_minor: int, currency: str) -> bool:
    """Tell whether cash of this currency can be paid in multiples of this; 0 is any amount."""
    most = CASH_STEP_UNITS_MAX * 10 ** money.EXPONENTS[currency]
    return not step_minor or (step_minor <= most and bool(_COIN.fullmatch(str(step_minor))))


def begins_us(rate: TaxRate, known: Sequence[TaxRate], now_us: int, *, is_used: bool) -> int:
    """Return when a new rate begins unless it is told: always, while nothing is taxed by it."""
    is_new = all((it.tax_code, it.code) != (rate.tax_code, rate.code) for it in known)
    return 0 if is_new and not is_used else now_us


def flaws_of_rate(
    rate: TaxRate, known: Sequence[TaxRate], now_us: int, *, is_used: bool
) -> Iterator[Violation]:
    """Yield what is wrong with a new rate.

    A tax code that products use gets no rate that begins in the past: recorded sales had others.

    Args:
        rate: the new one.
        known: all rates of the merchant.
        now_us: the time.
        is_used: whether a product names its tax code.
    """
    if not 0 <= rate.rate_ppm <= PPM:
        yield "--rate", "it is between 0 and 100 percent"
    if rate.rate_ppm and rate.category is not TaxCategory.STANDARD:
        yield "--category", f"a rate of the category {rate.category.name} is 0 (EN 16931)"
    if is_used and rate.valid_from_us < now_us:
        what = f"products with {rate.tax_code} are sold already: a change begins now or later"
        yield "--from", what
    same = (rate.tax_code, rate.code, rate.valid_from_us)
    if any((it.tax_code, it.code, it.valid_from_us) == same for it in known):
        yield "--from", f"{rate.code} has a rate from that instant on"
