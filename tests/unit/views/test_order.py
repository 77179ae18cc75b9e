"""An order is read whole, and from one merchant only."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from internal.kernel import ids
from internal.kernel.states import ChargeState, OrderState, StockState
from internal.orders import messages
from internal.payments.messages import AttemptState, Operation, TenderKind
from internal.pricing import trace
from internal.pricing.messages import Adjustment, AdjustmentKind
from internal.views import order as order_view
from tests.support import gateways, shop, staged_orders


@pytest.fixture
def stages(any_database: sa.Connection) -> staged_orders.StagedOrders:
    """The stages of a shop that is open."""
    shop.open_for_business(any_database)
    return staged_orders.StagedOrders(any_database, gateways.FaultyGateway())


def test_a_finalized_order_is_read_from_all_its_tables(stages: staged_orders.StagedOrders) -> None:
    tenders = (shop.cash(500), shop.card())
    tenth = (Adjustment(AdjustmentKind.BASIS_POINTS, 1_000),)
    stages.carry(shop.placed("o-1", ("tea", 2), ("cup", 3), tenders=tenders, adjustments=tenth))
    view = stages.view("o-1")
    assert (view.state, view.charge_state, view.stock_state) == (
        OrderState.FINALIZED,
        ChargeState.FULL,
        StockState.COMMITTED,
    )
    assert (view.version, view.receipt_no, view.currency) == (5, 1, "EUR")
    assert view.net_minor + view.tax_minor == view.total_minor == 2_535
    assert [(line.sku, line.quantity_milli, line.parts[-1].inclusive) for line in view.lines] == [
        ("tea", 2_000, True),
        ("cup", 3_000, False),
    ]
    assert sum(line.total_minor for line in view.lines) == view.total_minor
    assert [bucket.code for bucket in view.taxes] == ["inside", "on-top"]
    assert sum(bucket.tax_minor for bucket in view.taxes) == view.tax_minor
    steps = trace.steps(view.lines, view.currency)
    assert steps[0].startswith("line 1: 2 x 10.00")
    assert steps[-1].startswith("tax rounded")
    assert [(it.operation, it.tender_no, it.answered_minor, it.state) for it in view.attempts] == [
        (Operation.SALE, 2, 2_035, AttemptState.SUCCEEDED),
    ]
    assert [(it.tender.kind, it.captured_minor, it.state) for it in view.tenders] == [
        (TenderKind.CASH, 500, ChargeState.FULL),
        (TenderKind.CARD, 2_035, ChargeState.FULL),
    ]
    assert [(entry.version, type(entry.fact)) for entry in view.timeline] == [
        (1, messages.OrderPlaced),
        (2, messages.OrderAccepted),
        (4, messages.OrderPaid),  # 3: the charge is PENDING
        (5, messages.OrderFinalized),
    ]
    assert view.next_commands == ()


def test_an_order_that_could_not_be_priced_has_no_amounts(
    stages: staged_orders.StagedOrders,
) -> None:
    stages.carry(shop.placed("o-1", ("nope", 1), tenders=(shop.card(),)))
    view = stages.view("o-1")
    assert (view.state, view.reason) == (OrderState.REJECTED, "UNKNOWN_SKU")
    assert "nope" in view.explanation
    assert (view.gross_minor, view.total_minor) == (0, 0)
    assert (view.lines, view.taxes, view.attempts) == ((), (), ())
    (tender,) = view.tenders
    assert (tender.tender.tender_ref, tender.tender.amount_minor) == ("t1", None)
    assert tender.state is ChargeState.NONE


def test_an_open_order_may_be_cancelled(stages: staged_orders.StagedOrders) -> None:
    stages.step(shop.placed("o-1"))
    view = stages.view("o-1")
    assert view.state is OrderState.ACCEPTED
    assert view.next_commands == ("CancelOrder",)
    assert view.due_at_us is not None


def test_a_merchant_sees_only_its_own_order(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.placed("o-1"), shop.placed("o-1", merchant_id=shop.OTHER_MERCHANT))
    for merchant_id in (shop.MERCHANT, shop.OTHER_MERCHANT):
        view = order_view.get(stages.connection, merchant_id, "o-1")
        assert view is not None
        assert view.merchant_id == merchant_id
    assert order_view.get(stages.connection, "m-3", "o-1") is None
    assert order_view.get(stages.connection, shop.MERCHANT, "O-1") is None


class Interleaved:
    """A connection without a snapshot: something is committed between its first two statements."""

    def __init__(self, connection: sa.Connection, meanwhile: Callable[[], object]) -> None:
        self._connection, self._meanwhile = connection, meanwhile
        self._statements = 0

    @property
    def connection(self) -> object:
        self._statements += 1
        if self._statements == 2:
            self._meanwhile()
        return self._connection.connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_a_view_without_a_snapshot_ends_at_its_own_version(
    stages: staged_orders.StagedOrders,
) -> None:
    accepted = stages.step(shop.placed("o-1"))
    torn: Any = Interleaved(stages.connection, lambda: stages.carry(*accepted))
    view = order_view.get(torn, shop.MERCHANT, "o-1")
    assert view is not None
    assert (view.state, view.version) == (OrderState.ACCEPTED, 2)
    assert [entry.version for entry in view.timeline] == [1, 2]
    after = stages.view("o-1")
    assert (after.state, after.version) == (OrderState.FINALIZED, 4)


def test_another_order_under_the_same_id_is_not_a_step(stages: staged_orders.StagedOrders) -> None:
    stages.carry(shop.kept_open("o-1"))
    stages.carry(shop.added("o-1", shop.cash(100)))
    stages.carry(shop.placed("o-1", ("cup", 1)))
    timeline = stages.view("o-1").timeline
    assert [(it.version, it.is_step) for it in timeline] == [(1, True), (2, True), (3, False)]


def test_many_orders_keep_their_own_lines_and_entries(stages: staged_orders.StagedOrders) -> None:
    stages.carry(*(shop.placed(f"o-{n}", ("tea", n), tenders=(shop.card(),)) for n in (1, 2, 3)))
    wanted = [ids.OrderRef(shop.MERCHANT, name) for name in ("o-3", "o-1", "o-9")]
    found = {view.order_id: view for view in order_view.get_many(stages.connection, wanted)}
    assert set(found) == {"o-1", "o-3"}
    for name, quantity in (("o-1", 1), ("o-3", 3)):
        view = found[name]
        assert [line.quantity_milli for line in view.lines] == [quantity * 1_000]
        assert [it.asked_minor for it in view.attempts] == [view.total_minor] == [quantity * 1_000]
        assert {entry.fact.order_id for entry in view.timeline} == {name}
