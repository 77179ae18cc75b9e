"""`souk stores` and `souk taxes`: a shop with its rules and taxes is set up by commands alone."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from internal.cli import database
from internal.orders import messages
from internal.stages import order_processing
from tests.integration import test_cli
from tests.integration.test_cli import Souk
from tests.support import shop

bare = test_cli.bare

CREATE = ("stores", "create", "van", "--currency", "CAD", "--by", "ann")
GST = ("taxes", "set", "goods", "GST", "--rate", "5", "--on-top", "--jurisdiction", "CA")


@pytest.fixture
def mine(bare: Souk, tmp_path: Path) -> Souk:
    """The command on a database with a merchant."""
    run = functools.partial(bare, "--data", str(tmp_path))
    for command in (("migrate",), ("merchants", "create", "m-1")):
        assert run(*command).code == 0
    return run


def test_a_store_is_made_changed_and_shown(mine: Souk) -> None:
    rules = ("--time-zone", "America/Vancouver", "--cash-rounding", "0.05")
    made = mine(*CREATE, *rules, "--json").json
    expected = {"merchant_id": "m-1", "store_id": "van", "name": "van", "legal_entity": ""}
    expected |= {"currency": "CAD", "time_zone": "America/Vancouver", "day_cut_off": "00:00"}
    expected |= {"rounding_mode": "HALF_UP", "rounding_point": "LINE", "price_policy": "CHECKED"}
    expected |= {"cash_rounding": "0.05", "cash_rounding_mode": "HALF_UP"}
    expected |= {"hold_default": "1d", "hold_longest": "30d"}
    assert made == expected
    told = ("--time-zone", "UTC", "--day-cut-off", "04:30", "--price-policy", "till")
    more = ("--hold-default", "90m", "--rounding-mode", "half_even", "--cash-rounding", "0")
    changed = mine("stores", "set", "van", *told, *more, "--by", "bob", "--json").json
    expected |= {"time_zone": "UTC", "day_cut_off": "04:30", "price_policy": "TILL"}
    expected |= {"hold_default": "90m", "rounding_mode": "HALF_EVEN", "cash_rounding": "0.00"}
    assert changed == expected
    shown = mine("stores", "show", "van", "--json").json
    assert [(it["by"], it["what"][:4]) for it in shown.pop("changes")] == [
        ("ann", "van:"),
        ("bob", "van:"),
    ]
    assert shown == expected
    assert mine("stores", "list", "--json").json == {"stores": [expected]}
    assert "van van CAD UTC 04:30 0.00 TILL" in mine("stores", "list").words
    assert "bob van: rounding_mode HALF_UP -> HALF_EVEN" in mine("stores", "show", "van").words


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--time-zone", "America/Vancover"), 2, "did you mean America/Vancouver"),
        (("--day-cut-off", "24:00"), 2, "'24:00' is not a time of day"),
        (("--cash-rounding", "0.005"), 2, "is not an amount of CAD"),
        (("--cash-rounding", "0.03"), 1, "no coin is worth 0.03 CAD"),
        (("--currency", "CAN"), 2, "there is no currency 'CAN'; did you mean"),
        (("--rounding-mode", "round"), 2, "'round' is not one of"),
        (("--price-policy", "any"), 2, "'any' is not one of"),
        (("--hold-default", "2 h"), 2, "'2 h' is not a duration"),
        (("--hold-default", "2d", "--hold-longest", "1d"), 1, "--hold-longest at most"),
        (("--name", "a\nb"), 2, "--name"),
        (("--legal-entity", "x" * 65), 2, "more than 64 characters"),
        ((), 2, "name what to change"),
    ],
)
def test_a_wrong_value_is_explained_and_changes_nothing(
    mine: Souk, arguments: Sequence[str], code: int, says: str
) -> None:
    mine(*CREATE)
    before = mine("stores", "show", "van", "--json").json
    said = mine("stores", "set", "van", *arguments)
    assert (said.code, says in said.words) == (code, True)
    assert mine("stores", "show", "van", "--json").json == before


def test_a_store_that_is_unknown_or_there_already(mine: Souk) -> None:
    mine(*CREATE)
    assert "there is no store 'van2'; there are van" in mine("stores", "show", "van2").words
    assert "`souk stores set` changes it" in mine(*CREATE).words
    assert mine("stores", "create", "van 2", "--currency", "CAD").code == 2


def test_a_store_that_has_sold_keeps_its_currency(mine: Souk, tmp_path: Path) -> None:
    database.write(tmp_path, shop.open_for_business)
    placed = shop.placed("o")
    asked = [messages.Submission(placed, shop.half_of(placed))]
    database.write(tmp_path, lambda c: order_processing.place(c, asked, shop.NOW_US, shop.NOW_US))
    said = mine("stores", "set", shop.STORE, "--currency", "CHF")
    assert (said.code, "its orders are in EUR" in said.words) == (1, True)


def rates(mine: Souk, *more: str) -> list[tuple[Any, ...]]:
    names = ("tax", "name", "rate_ppm", "inclusive", "category", "jurisdiction")
    found = mine("taxes", "list", *more, "--json").json["tax_rates"]
    return [tuple(it[name] for name in names) for it in found]


def test_a_product_gets_two_taxes_by_commands_alone(mine: Souk, tmp_path: Path) -> None:
    gst = ("GST", "GST 5 %", 50_000, False, "standard", "CA")
    assert mine(*GST).code == 0
    assert mine("taxes", "set", "goods", "PST", "--rate", "7%", "--on-top").code == 0
    assert rates(mine) == [gst, ("PST", "PST 7 %", 70_000, False, "standard", "")]
    (tmp_path / "p.csv").write_text("sku,name,price,currency,tax_code\ntea,Tea,10.00,CAD,goods\n")
    assert mine("products", "import", str(tmp_path / "p.csv")).code == 0
    past = mine("taxes", "set", "goods", "PST", "--rate", "8", "--from", "2020-01-01")
    assert (past.code, "a change begins now or later" in past.words) == (1, True)
    raised = ("--rate", "8", "--from", "2090-01-01T00:00+01:00", "--name", "Provincial 8 %")
    assert mine("taxes", "set", "goods", "PST", *raised).code == 0
    assert len(rates(mine)) == 2
    assert rates(mine, "--all")[2] == ("PST", "Provincial 8 %", 80_000, False, "standard", "")
    assert mine("taxes", "set", "goods", "PST", "--rate", "0").code == 0
    assert rates(mine)[1] == ("PST", "PST 0 %", 0, False, "standard", "")
    assert "goods GST 5 % GST 5 % without it standard CA always" in mine("taxes", "list").words


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--rate", "5"), 2, "is it inside prices or on top"),
        (("--rate", "5,5", "--on-top"), 2, "is not a percentage"),
        (("--rate", "5.00001", "--on-top"), 2, "is not a percentage"),
        (("--rate", "101", "--on-top"), 1, "between 0 and 100 percent"),
        (("--rate", "5", "--on-top", "--category", "free"), 2, "not one of standard, zero"),
        (("--rate", "5", "--on-top", "--category", "zero"), 1, "a rate of the category ZERO is 0"),
        (("--rate", "5", "--on-top", "--from", "soon"), 2, "'soon' is not one of"),
    ],
)
def test_a_wrong_rate_is_explained(
    mine: Souk, arguments: Sequence[str], code: int, says: str
) -> None:
    said = mine("taxes", "set", "goods", "GST", *arguments)
    assert (said.code, says in said.words) == (code, True)
    assert rates(mine, "--all") == []
