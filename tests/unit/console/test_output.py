"""Values on a terminal."""

import contextlib
import datetime
import io
import json
import re
from collections.abc import Callable

import pytest
from google.type import money_pb2
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from rich.text import Text

from internal.cli import order_receipt
from internal.console import output
from internal.kernel import money
from internal.wire.souk.v1 import order_pb2

CONTROLS = [
    *(chr(code) for code in [*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0)]),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
]
"""All that commands a terminal or turns the text, but the line break."""


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
    assert r"note: [red]x[/red]\x1b[31m" in captured.get()


FORGED = "thanks\nPaid by cash  9.99 EUR  captured 9.99 EUR\r\u202egnihton\x9b2J\x7f"


def captured(it: RenderableType, **options: bool) -> str:
    console = output.terminal(**options)
    with console.capture() as caught:
        console.print(it)
    return caught.get()


def test_a_note_forges_no_line_of_a_receipt() -> None:
    shown = captured(order_receipt.order(order_pb2.Order(order_id="o", note=FORGED)))
    [line] = [line for line in shown.splitlines() if "captured" in line]
    assert line.startswith(r"note: thanks\nPaid by cash")
    assert r"\r\u202egnihton\x9b2J\x7f" in line


def test_a_tender_shows_what_was_given_and_its_tip() -> None:
    """Cash of 1.66 that is rounded, with a tip; and a card, which has nothing of that."""
    cash = order_pb2.OrderTender(kind=order_pb2.TENDER_KIND_CASH)
    named = {"amount": 166, "captured": 175, "given": 200, "change": 25, "tip": 10, "rounding": -1}
    for name, minor in named.items():
        units, nanos = money.to_parts(minor, "CHF")
        getattr(cash, name).MergeFrom(
            money_pb2.Money(currency_code="CHF", units=units, nanos=nanos)
        )
    card = order_pb2.OrderTender(kind=order_pb2.TENDER_KIND_CARD)
    it = order_pb2.Order(tenders=[cash, card], totals=order_pb2.OrderTotals())
    for name in ("gross", "discount", "net", "tax", "total"):
        getattr(it.totals, name).currency_code = "CHF"
    lines = [" ".join(line.split()) for line in captured(order_receipt.order(it)).splitlines()]
    start = lines.index("Paid by cash 1.66 CHF captured 1.75 CHF")
    assert lines[start + 1 : start + 6] == [
        "Tip 0.10 CHF",
        "Rounding -0.01 CHF",
        "Given 2.00 CHF",
        "Change 0.25 CHF",
        "Paid by card the rest not captured",
    ]


TEXT_FIELDS = st.text(st.one_of(st.sampled_from(CONTROLS), st.characters(codec="utf-8")))


@given(TEXT_FIELDS)
def test_no_field_of_an_order_commands_the_terminal(text: str) -> None:
    line = order_pb2.OrderLine(line_no=1, sku=text, name=text, quantity_milli=1_000, line_ref=text)
    for amount in ("unit_price", "discount", "tax", "total", "gross"):
        getattr(line, amount).currency_code = "EUR"
    totals = order_pb2.OrderTotals()
    for amount in ("gross", "discount", "net", "tax", "total"):
        getattr(totals, amount).currency_code = "EUR"
    entry = order_pb2.LogEntry(stage=text, event=text, reason=text)
    order = order_pb2.Order(
        order_id=text,
        store_id=text,
        terminal_id=text,
        note=text,
        trace_id=text,
        lines=[line],
        refusal=order_pb2.Refusal(reason=text, explanation=text),
        tenders=[order_pb2.OrderTender(gateway_reference=text)],
        timeline=[entry],
    )
    summary = order_pb2.OrderSummary(order_id=text, store_id=text, refusal_reason=text)
    for shown in (
        captured(order_receipt.order(order)),
        captured(order_receipt.summaries([summary])),
    ):
        assert not set(shown) & set(CONTROLS)
    order.totals.CopyFrom(totals)
    shown = captured(order_receipt.order(order))
    assert not set(shown) & set(CONTROLS)


@given(
    st.recursive(TEXT_FIELDS, lambda inner: st.lists(inner) | st.dictionaries(TEXT_FIELDS, inner))
)
def test_json_has_the_same_values_and_commands_nothing(value: object) -> None:
    for write in (output.as_json, output.as_json_line):
        with contextlib.redirect_stdout(io.StringIO()) as written:
            write(value)
        text = written.getvalue()
        assert json.loads(text) == value
        assert not set(text) & set(CONTROLS)


@pytest.mark.parametrize("stderr", [False, True])
@pytest.mark.parametrize("made", [output.terminal, output.report])
def test_what_nobody_escaped_is_caught_at_last(
    made: Callable[..., Console], *, stderr: bool
) -> None:
    console = made(stderr=stderr)
    with console.capture() as caught:
        console.print(Text("a\x1b[31mb\u202ec\nd", style="bold"))
    assert caught.get() == "a\\x1b[31mb\\u202ec\nd\n"


def test_a_cell_stays_in_its_line() -> None:
    table = output.table("Name")
    table.add_row("a\nb\tc")
    assert r"a\nb\tc" in captured(table)


def test_names_of_every_script_are_shown_as_they_are() -> None:
    name = "a\u3000b\u00a0c\u202fd\u200ce \U0001f468\u200d\U0001f469 \\n"
    assert output.one_line(name) == output.plain(name) == name
