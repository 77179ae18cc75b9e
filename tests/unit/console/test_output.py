"""Values on a terminal."""

import datetime
import re

import pytest

from internal.cli.commands import order_receipt
from internal.console import output
from internal.wire.souk.v1 import order_pb2


@pytest.mark.parametrize(
    ("length_us", "text"),
    [
        (0, "0.0 ms"),
        (-5, "0.0 ms"),
        (450, "0.4 ms"),
        (9_999, "9.9 ms"),
        (12_345, "12 ms"),
        (999_999, "999 ms"),
        (3_210_000, "3.2 s"),
        (59_999_999, "59.9 s"),
        (125_000_000, "2 min 5 s"),
    ],
)
def test_durations(length_us: int, text: str) -> None:
    assert output.duration(length_us) == text


def test_instants_are_local_and_tell_their_zone() -> None:
    text = output.instant(1_800_000_000_123_456)
    at = datetime.datetime.fromisoformat(text)
    assert text.count(".123") == 1
    assert at.timestamp() == pytest.approx(1_800_000_000.123)


def test_tables_leave_the_zone_out() -> None:
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", output.moment(1_800_000_000_000_000)
    )


def test_an_instant_out_of_range() -> None:
    assert output.instant(10**30) == f"{10**30} us"


def test_names_do_not_command_the_terminal() -> None:
    assert "\x1b" not in output.plain("a\x1b[31mb\x07\x9bc")
    assert output.plain("é 漢字\n") == "é 漢字\n"


@pytest.mark.parametrize(
    ("rate_ppm", "text"), [(190_000, "19 %"), (88_750, "8.875 %"), (0, "0 %"), (1, "0.0001 %")]
)
def test_percent(rate_ppm: int, text: str) -> None:
    assert order_receipt.percent(rate_ppm) == text


def test_a_state_of_a_newer_server_is_a_number() -> None:
    assert order_receipt.state_of(order_pb2.ORDER_STATE_PAID) == "PAID"
    assert order_receipt.state_of(77) == "77"


def test_a_note_is_not_taken_for_markup() -> None:
    order = order_pb2.Order(order_id="o", note="[red]x[/red]\x1b[31m")
    console = output.terminal()
    with console.capture() as captured:
        console.print(order_receipt.order(order))
    assert "note: [red]x[/red]\N{REPLACEMENT CHARACTER}[31m" in captured.get()
