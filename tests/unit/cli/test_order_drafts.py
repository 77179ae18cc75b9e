"""Orders from options and from JSON."""

import contextlib
from pathlib import Path

import pytest
import typer
from google.protobuf import json_format
from google.type import money_pb2
from hypothesis import given
from hypothesis import strategies as st

from internal.cli import order_drafts
from internal.wire.souk.v1 import order_pb2

CARD_NUMBER = "4111111111111111"


def order(line: str = "A", pay: str = "cash", discount: str = "") -> order_pb2.OrderDraft:
    """Return an order of one line and one tender."""
    wanted = order_drafts.Wanted(store="berlin", line=[line], discount=[discount] * bool(discount))
    return order_drafts.order_of(wanted, order_drafts.Placing(pay=[pay], order_id="o-1"))


def eur(units: int, nanos: int = 0) -> money_pb2.Money:
    """Return an amount."""
    return money_pb2.Money(currency_code="EUR", units=units, nanos=nanos)


def test_an_order_from_options() -> None:
    wanted = order_drafts.Wanted(
        store="berlin", line=["A=2", "B=0.750@9.99"], discount=["10%", "1"]
    )
    placing = order_drafts.Placing(
        pay=["cash=5", "card:tok_ok"], order_id="o-1", terminal="t", note="n"
    )
    assert order_drafts.order_of(wanted, placing) == order_pb2.OrderDraft(
        order_id="o-1",
        store_id="berlin",
        terminal_id="t",
        currency="EUR",
        lines=[
            order_pb2.DraftLine(sku="A", quantity_milli=2_000),
            order_pb2.DraftLine(sku="B", quantity_milli=750, expected_price=eur(9, 990_000_000)),
        ],
        adjustments=[
            order_pb2.Adjustment(basis_points=1_000),
            order_pb2.Adjustment(amount=eur(1)),
        ],
        tenders=[
            order_pb2.Tender(cash=order_pb2.CashTender(), amount=eur(5)),
            order_pb2.Tender(card=order_pb2.CardTender(token="tok_ok")),
        ],
        note="n",
    )


@pytest.mark.parametrize(
    ("text", "basis_points"), [("1%", 100), ("7.5%", 750), ("0.01%", 1), ("100%", 10_000)]
)
def test_a_share_off(text: str, basis_points: int) -> None:
    [off] = order(discount=text).adjustments
    assert off == order_pb2.Adjustment(basis_points=basis_points)


def test_an_amount_off() -> None:
    [off] = order(discount="2.50").adjustments
    assert off == order_pb2.Adjustment(amount=eur(2, 500_000_000))


def test_a_price_may_be_below_a_cent() -> None:
    assert order("A=1000@0.23267").lines[0].expected_price == eur(0, 232_670_000)


def test_other_currencies_have_other_decimals() -> None:
    draft = order_drafts.quote_of(order_drafts.Wanted(store="s", line=["A@1200"], currency="JPY"))
    price = money_pb2.Money(currency_code="JPY", units=1_200)
    assert draft.lines[0].expected_price == price


@pytest.mark.parametrize(
    "line", ["", "=2", "A=", "A=x", "A=-1", "A=1.5005", "A=.5", "A@", "A@1.0000000001", "A=2=3"]
)
def test_unreadable_lines(line: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"SKU=2|decimal"):
        order(line=line)


@pytest.mark.parametrize(
    ("written", "milli"),
    [("2", 2_000), ("0.750", 750), ('"0.750"', 750), ("1.5", 1_500), ('"2"', 2_000)],
)
def test_a_file_has_quantities_as_people_write_them(written: str, milli: int) -> None:
    draft = order_drafts.from_json(f'{{"lines": [{{"sku": "A", "quantity": {written}}}]}}')
    assert draft.lines[0].quantity_milli == milli


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"quantity": 0.0005', "'0.0005' is not a decimal"),
        ('"quantity": -1', "not a decimal"),
        ('"quantity": true', "not a decimal"),
        ('"quantity": null', "not a decimal"),
        ('"quantity": 1, "quantity_milli": 1000', "one of them"),
        ('"quantityMilli": 1.5', "quantityMilli"),
        ('"sku": "A", "sku": "B"', "twice"),
        ('"quantty": 1', "quantty"),
    ],
)
def test_a_file_with_a_wrong_line(line: str, words: str) -> None:
    with pytest.raises(typer.BadParameter, match=words):
        order_drafts.from_json(f'{{"lines": [{{{line}}}]}}')


@pytest.mark.parametrize(
    "pay",
    [
        "",
        "csh",
        "card",
        "card:",
        "cash=",
        "cash=x",
        "cash=1.234",
        "cash:",
        "cash:x",
        "cash+",
        "cash+x",
        "card:tok=5+1.234",
        "cash:5=x",
    ],
)
def test_unreadable_tenders(pay: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"cash|decimal"):
        order(pay=pay)


def test_what_was_given_and_a_tip() -> None:
    (cash,) = order(pay="cash:20+1.50").tenders
    assert (cash.cash.given, cash.tip) == (eur(20), eur(1, 500_000_000))
    assert not cash.HasField("amount")
    (card,) = order(pay="card:tok_ok=5+3").tenders
    assert (card.card.token, card.amount, card.tip) == ("tok_ok", eur(5), eur(3))
    (plain,) = order(pay="cash:20=8.98").tenders
    assert (plain.cash.given, plain.amount.units) == (eur(20), 8)


@pytest.mark.parametrize("discount", ["10 %", "1.234%", "%", "-5%", "a", "1.234"])
def test_unreadable_discounts(discount: str) -> None:
    with pytest.raises(typer.BadParameter):
        order(discount=discount)


def test_a_card_number_is_not_repeated() -> None:
    with pytest.raises(typer.BadParameter) as caught:
        order(pay=CARD_NUMBER)
    assert CARD_NUMBER not in caught.value.format_message()


@given(line=st.text(max_size=30), pay=st.text(max_size=30), discount=st.text(max_size=30))
def test_any_text_is_an_order_or_a_usage_error(line: str, pay: str, discount: str) -> None:
    with contextlib.suppress(typer.BadParameter):
        assert order(line, pay, discount).SerializeToString()


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (order_drafts.Wanted(line=["A"]), "--store"),
        (order_drafts.Wanted(store="s"), "--line"),
        (order_drafts.Wanted(store="s", line=["A"]), "--pay"),
        (order_drafts.Wanted(store="s", line=["A"], currency="EURO"), "--currency"),
    ],
)
def test_a_missing_field_is_named(wanted: order_drafts.Wanted, names: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        order_drafts.order_of(wanted, order_drafts.Placing())
    assert names in caught.value.format_message()


NOT_ORDERS = [
    "",
    "[]",
    "{",
    "null",
    '{"lines": 1}',
    '{"note": 1}',
    '{"note": "\\ud800"}',
    '{"lines":' + "[" * 100_000,
]


class TestFile:
    def test_both_spellings_of_the_proto_are_read(self) -> None:
        one = order_drafts.from_json(
            '{"order_id": "o-1", "storeId": "s", "tenders": [{"cash": {}}]}'
        )
        assert (one.order_id, one.store_id) == ("o-1", "s")
        assert one.tenders[0].HasField("cash")

    def test_a_written_file_is_read(self, tmp_path: Path) -> None:
        draft, file = order(), tmp_path / "order.json"
        file.write_text(json_format.MessageToJson(draft))
        assert (
            order_drafts.order_of(order_drafts.Wanted(file=file), order_drafts.Placing()) == draft
        )

    def test_an_id_may_be_replaced(self, tmp_path: Path) -> None:
        file = tmp_path / "order.json"
        file.write_text(json_format.MessageToJson(order()))
        read = order_drafts.order_of(
            order_drafts.Wanted(file=file), order_drafts.Placing(order_id="o-2")
        )
        assert read.order_id == "o-2"

    def test_nothing_else_may_join_it(self, tmp_path: Path) -> None:
        file = tmp_path / "order.json"
        file.write_text("{}")
        for wanted, placing in [
            (order_drafts.Wanted(file=file, store="s"), order_drafts.Placing()),
            (order_drafts.Wanted(file=file), order_drafts.Placing(pay=["cash"])),
        ]:
            with pytest.raises(typer.BadParameter, match="not from both"):
                order_drafts.order_of(wanted, placing)

    def test_a_typo_names_the_fields(self) -> None:
        with pytest.raises(typer.BadParameter, match=r"lins[\s\S]*'lines'"):
            order_drafts.from_json('{"lins": []}')

    @pytest.mark.parametrize("text", NOT_ORDERS)
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(typer.BadParameter, match="not an OrderDraft"):
            order_drafts.from_json(text)

    def test_bytes_that_are_not_text(self, tmp_path: Path) -> None:
        file = tmp_path / "order.json"
        file.write_bytes(b"\xff\xfe")
        with pytest.raises(typer.BadParameter, match="UTF-8"):
            order_drafts.quote_of(order_drafts.Wanted(file=file))

    def test_text_that_is_too_long(self, tmp_path: Path) -> None:
        file = tmp_path / "order.json"
        file.write_text(" " * (order_drafts.FILE_CHARS_MAX + 1))
        with pytest.raises(typer.BadParameter, match="more than"):
            order_drafts.quote_of(order_drafts.Wanted(file=file))
