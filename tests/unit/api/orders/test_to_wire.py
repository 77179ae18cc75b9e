"""From Souk's own words to the wire: what merchants see of an order in each of its states."""

import msgspec
import pytest

from internal.api.orders import to_wire
from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders.messages import OrderPlaced, Submission
from internal.payments.messages import Tender, TenderKind
from internal.pricing.messages import TaxBucket, WantedLine
from internal.privacy.messages import Private
from internal.wire.souk.v1 import order_pb2 as o
from tests.unit.api import memory

FACT = OrderPlaced(
    "m1",
    "o-1",
    "s-1",
    "EUR",
    (WantedLine("tea", 2_000), WantedLine("rose", 1_000)),
    (Tender(TenderKind.CARD, "t1"),),
    "hash",
    1_700_000_000_123_456,
    terminal_id="till-1",
    trace_id="ab",
)
PRIVATE = Private("ring twice", {"t1": "tok_secret"})
NAME = ids.OrderRef("m1", "o-1")


@pytest.fixture
def orders() -> memory.MemoryOrders:
    recorded = memory.MemoryOrders(memory.MemoryBus())
    recorded.record(FACT, PRIVATE)
    return recorded


def test_every_state_has_a_name_on_the_wire() -> None:
    for state in OrderState:
        assert o.OrderState.Value(to_wire.state_of(state))
    for charge in ChargeState:
        assert o.ChargeState.Value(f"CHARGE_STATE_{charge}")
    for stock in StockState:
        assert o.StockState.Value(f"STOCK_STATE_{stock}")


def test_placed() -> None:
    order = to_wire.order_of(Submission(FACT, PRIVATE))
    assert order.state == o.ORDER_STATE_PLACED
    assert [(line.line_no, line.sku, line.quantity_milli) for line in order.lines] == [
        (1, "tea", 2_000),
        (2, "rose", 1_000),
    ]
    assert order.placed_at.ToMicroseconds() == FACT.placed_at_us
    assert not order.tenders[0].HasField("amount")


def test_accepted(orders: memory.MemoryOrders) -> None:
    tax = TaxBucket("standard", 190_000, inclusive=False, taxable_minor=1_000, tax_minor=190)
    view = msgspec.structs.replace(orders.views[NAME], taxes=(tax,))
    order = to_wire.order_of(view)
    assert (order.state, order.version) == (o.ORDER_STATE_ACCEPTED, 2)
    assert order.stock_state == o.STOCK_STATE_RESERVED
    assert order.totals.total.units == 19
    assert order.lines[1].unit_price.units == 12
    assert (order.taxes[0].tax.units, order.taxes[0].tax.nanos) == (1, 900_000_000)
    assert list(order.allowed_commands) == [o.ORDER_COMMAND_CANCEL]
    assert (order.note, order.terminal_id, order.trace_id) == ("ring twice", "till-1", "ab")
    assert not order.HasField("refusal")


def test_paid_and_finalized(orders: memory.MemoryOrders) -> None:
    orders.move(NAME, OrderState.PAID)
    order = to_wire.order_of(orders.move(NAME, OrderState.FINALIZED))
    assert order.charge_state == o.CHARGE_STATE_FULL
    assert order.receipt_number == 1
    assert order.tenders[0].kind == o.TENDER_KIND_CARD
    assert (order.tenders[0].captured.units, order.tenders[0].gateway_reference) == (19, "gw-1")
    assert [entry.event for entry in order.timeline][-2:] == ["OrderPaid", "OrderFinalized"]
    assert not order.allowed_commands


def test_rejected(orders: memory.MemoryOrders) -> None:
    view = orders.move(NAME, OrderState.REJECTED, "PAYMENT_DECLINED")
    assert to_wire.order_of(view).refusal.reason == "PAYMENT_DECLINED"
    assert to_wire.summary_of(memory.summary(view)).refusal_reason == "PAYMENT_DECLINED"


def test_rejected_before_it_had_a_price(orders: memory.MemoryOrders) -> None:
    view = orders.move(NAME, OrderState.REJECTED, "UNKNOWN_SKU")
    view = msgspec.structs.replace(view, lines=(), taxes=(), total_minor=0)
    order = to_wire.order_of(view)
    assert not order.HasField("totals")
    assert [line.sku for line in order.lines] == ["tea", "rose"]
    assert not to_wire.summary_of(memory.summary(view)).HasField("total")


def test_card_tokens_stay_inside(orders: memory.MemoryOrders) -> None:
    for known in (Submission(FACT, PRIVATE), orders.views[NAME]):
        assert b"tok_secret" not in to_wire.order_of(known).SerializeToString()


def test_summary(orders: memory.MemoryOrders) -> None:
    summary = to_wire.summary_of(memory.summary(orders.views[NAME]))
    assert (summary.order_id, summary.total.units, summary.version) == ("o-1", 19, 2)
    assert summary.refusal_reason == ""
