"""`souk stock` beside a running engine: what arrives, is written off, counted, and missing."""

from pathlib import Path

import pytest

from internal.cli import database
from internal.pipeline import outbox
from tests.integration import test_cli
from tests.integration.test_cli import MINE, Souk, is_soon

data, bare, souk = test_cli.data, test_cli.bare, test_cli.souk
"""The fixtures of the engine, of the command alone, and of the command on the engine's data."""

HERE = (*MINE, "--store", "berlin")
WHY = ("--reason", "broken", "--by", "olga")


def levels(souk: Souk, sku: str) -> tuple[str, str, str]:
    """Return what is on hand, reserved and available."""
    (row,) = souk("stock", "show", *HERE, "--sku", sku, "--json").json["stock"]
    return row["on_hand"], row["reserved"], row["available"]


def test_goods_arrive_once_per_document(souk: Souk) -> None:
    assert levels(souk, "LAMP-BRASS-60") == ("3", "0", "3")
    arrived = ("LAMP-BRASS-60=4.125", "--document", "DN-1")
    first = souk("stock", "receive", *HERE, *arrived, "--json")
    assert (first.code, first.err) == (0, "")
    souk("stock", "receive", *HERE, "LAMP-BRASS-60=1")
    again = souk("stock", "receive", *HERE, *arrived, "--json")
    assert (again.code, again.json) == (0, first.json)
    assert "DN-1 was recorded before with the same content" in again.err
    other = souk("stock", "receive", *HERE, "LAMP-BRASS-60=5", "--document", "DN-1")
    assert (other.code, "another request has the id DN-1" in other.words) == (1, True)
    assert levels(souk, "LAMP-BRASS-60") == ("8.125", "0", "8.125")


def test_a_running_engine_sends_the_events(souk: Souk, data: Path) -> None:
    assert souk("stock", "receive", *HERE, "TEA-250=1").code == 0
    assert is_soon(lambda: not database.read(data, outbox.shards))


def test_stock_that_is_written_off_has_an_exception_until_it_suffices(souk: Souk) -> None:
    gone = ("LAMP-GLASS-60=900000.5", "--kind", "write-off", "--owner", "otto")
    assert souk("stock", "adjust", *HERE, *gone, *WHY).code == 0
    assert levels(souk, "LAMP-GLASS-60") == ("-0.5", "0", "-0.5")
    (opened,) = souk("stock", "exceptions", *MINE, "--json").json["exceptions"]
    assert (opened["key"]["sku"], opened["owner"]) == ("LAMP-GLASS-60", "otto")
    assert "LAMP-GLASS-60 otto" in souk("stock", "exceptions", *MINE).words
    number = str(opened["exception_key"])
    early = souk("stock", "close", number, *WHY)
    assert (early.code, "0.5 more are promised than there are" in early.words) == (1, True)
    souk("stock", "adjust", *HERE, "LAMP-GLASS-60=3", "--kind", "count", *WHY)
    assert levels(souk, "LAMP-GLASS-60") == ("3", "0", "3")
    assert souk("stock", "close", number, *WHY).out == f"exception {number} is closed\n"
    assert souk("stock", "close", number, *WHY).code == 1
    assert "no open exceptions" in souk("stock", "exceptions", *MINE).out
    assert "olga: broken" in souk("stock", "exceptions", *MINE, "--all").words
    assert souk("check").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("receive", "TEA-50=0"), "is not like SKU=10"),
        (("receive", "TEA-50=1.0001"), "is not like SKU=10"),
        (("receive", "TEA-50=-1"), "is not like SKU=10"),
        (("receive", "TEA-50=1", "TEA-50=2"), "there twice"),
        (("receive", "TEA-50=1", "--document", "no id"), "an id is"),
        (("receive", "TEA-50=1", "--at", "2100-01-01"), "in the future"),
        (("adjust", "TEA-50=1", "--kind", "count"), "give a reason"),
    ],
)
def test_mistakes_change_nothing(souk: Souk, arguments: tuple[str, ...], told: str) -> None:
    before = levels(souk, "TEA-50")
    said = souk("stock", *arguments, *HERE)
    assert (said.code, told in said.words) == (2, True)
    assert levels(souk, "TEA-50") == before
