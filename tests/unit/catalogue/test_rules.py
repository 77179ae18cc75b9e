"""The values that stores and tax rates may have."""

import msgspec
import pytest

from internal.catalogue import rules
from internal.catalogue.messages import Store, TaxCategory, TaxRate

STORE = Store("m-1", "main", "The shop", "CHF")
GST = TaxRate("m-1", "goods", "GST", "GST 5 %", 50_000, inclusive=False)
NOW_US = 1_800_000_000_000_000


def flaws(**values: object) -> list[str]:
    return [option for option, _ in rules.flaws_of_store(msgspec.structs.replace(STORE, **values))]


def test_a_plain_store_has_no_flaw() -> None:
    assert flaws() == []


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"currency": "chf"}, "--currency"),
        ({"day_cut_off_minutes": -1}, "--day-cut-off"),
        ({"day_cut_off_minutes": 1_440}, "--day-cut-off"),
        ({"hold_default_s": 0}, "--hold-default"),
        ({"hold_default_s": 61, "hold_longest_s": 60}, "--hold-default"),
        ({"hold_longest_s": rules.HOLD_MAX_S + 1}, "--hold-default"),
    ],
)
def test_each_rule_is_one_value_away(values: dict[str, object], option: str) -> None:
    assert flaws(**values) == [option]


@pytest.mark.parametrize(
    ("currency", "steps", "no_steps"),
    [
        ("CHF", (0, 1, 2, 5, 10, 20, 25, 50, 100, 500, 100_000), (3, 15, 75, 250_000, -5)),
        ("JPY", (1, 5, 10, 1_000), (4, 2_000)),
        ("KWD", (5, 10, 250, 1_000_000), (7, 125)),
    ],
)
def test_cash_is_paid_in_coins(
    currency: str, steps: tuple[int, ...], no_steps: tuple[int, ...]
) -> None:
    assert [it for it in steps if not rules.is_cash_step(it, currency)] == []
    assert [it for it in no_steps if rules.is_cash_step(it, currency)] == []
    assert flaws(currency=currency, cash_rounding_step_minor=no_steps[0]) == ["--cash-rounding"]


def flaws_of_rate(*known: TaxRate, **values: object) -> list[str]:
    rate = msgspec.structs.replace(GST, **values)
    found = rules.flaws_of_rate(rate, known, NOW_US, is_used=False)
    return [option for option, _ in found]


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({"rate_ppm": 1_000_000}, []),
        ({"rate_ppm": 1_000_001}, ["--rate"]),
        ({"rate_ppm": -1}, ["--rate"]),
        ({"rate_ppm": 0}, []),
        ({"rate_ppm": 0, "category": TaxCategory.ZERO}, []),
        ({"category": TaxCategory.ZERO}, ["--category"]),
    ],
)
def test_a_rate_fits_its_category(values: dict[str, object], options: list[str]) -> None:
    assert flaws_of_rate(**values) == options


def test_a_tax_code_that_is_used_changes_from_now_on_only() -> None:
    past, now = (msgspec.structs.replace(GST, valid_from_us=it) for it in (NOW_US - 1, NOW_US))
    assert [*rules.flaws_of_rate(past, [], NOW_US, is_used=False)] == []
    (flaw,) = rules.flaws_of_rate(past, [], NOW_US, is_used=True)
    assert flaw[0] == "--from"
    assert [*rules.flaws_of_rate(now, [], NOW_US, is_used=True)] == []


def test_a_tax_has_one_rate_from_an_instant_on() -> None:
    others = (
        msgspec.structs.replace(GST, code="PST"),
        msgspec.structs.replace(GST, tax_code="food"),
        msgspec.structs.replace(GST, valid_from_us=7),
    )
    assert flaws_of_rate(*others) == []
    assert flaws_of_rate(GST, rate_ppm=1) == ["--from"]


def test_the_first_rate_holds_always_while_nothing_is_sold_by_it() -> None:
    pst = msgspec.structs.replace(GST, code="PST")
    assert rules.begins_us(pst, [GST], NOW_US, is_used=False) == 0
    assert rules.begins_us(pst, [GST], NOW_US, is_used=True) == NOW_US
    assert rules.begins_us(pst, [GST, pst], NOW_US, is_used=False) == NOW_US
