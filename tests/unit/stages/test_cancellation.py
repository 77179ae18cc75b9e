"""Cancellation: before a charge is requested, or before the order comes; the stock is released."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockLevel
from internal.orders import codec, messages
from internal.pricing.messages import Refusal
from internal.requests import store as requests_store
from internal.requests.messages import RequestState, SubjectKind
from internal.stages import order_processing
from tests.support import shop, staged_orders


@pytest.fixture
def line(any_database: sa.Connection) -> Iterator[staged_orders.StagedOrders]:
    shop.open_for_business(any_database)
    yield staged_orders.StagedOrders(any_database)
    assert not invariants.check(any_database)


TOO_LATE = "ORDER_NOT_CANCELLABLE"


def requests_of(line: staged_orders.StagedOrders) -> dict[str, RequestState]:
    """Return the state of each request about the order `o`."""
    subject = requests_store.Subject(shop.MERCHANT, SubjectKind.ORDER, "o")
    found = requests_store.of_subject(line.connection, subject)
    return {request.request_id: request.state for request in found}


def answers(line: staged_orders.StagedOrders) -> dict[str, tuple[str, str, int]]:
    """Return the (status, state, version) that each request about the order `o` was answered."""
    subject = requests_store.Subject(shop.MERCHANT, SubjectKind.ORDER, "o")
    found = {}
    for request in requests_store.of_subject(line.connection, subject):
        answer = codec.decode_answer(request.answer)
        found[request.request_id] = (request.status, str(answer.state), answer.version)
    return found


def timeline(line: staged_orders.StagedOrders, order_id: str = "o") -> list[tuple[str, str, str]]:
    return [(e.stage, str(e.state), e.reason) for e in line.view(order_id).timeline]


def test_an_accepted_order_is_undone(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o", ("tea", 3)))
    (fact,) = line.step(shop.cancel("o"))
    assert isinstance(fact, messages.OrderCancelled)
    assert (fact.version, fact.request_id) == (3, "c-1")
    assert fact.store_id == shop.STORE
    assert line.level("tea").reserved_milli == 0
    assert timeline(line)[-1] == ("cancel", "CANCELLED", "")


def test_a_repeated_request_gets_the_same_answer(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    first = line.step(shop.cancel("o"))
    assert line.step(shop.cancel("o"), shop.cancel("o")) == first * 2
    assert line.level("tea").reserved_milli == 0


def test_an_order_that_is_cancelled_stays_so(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    line.step(shop.cancel("o"))
    before = timeline(line)
    assert not line.step(shop.cancel("o", "c-2"))
    assert answers(line) == {"c-1": ("", "CANCELLED", 3), "c-2": (TOO_LATE, "CANCELLED", 3)}
    assert timeline(line) == before


def test_several_requests_in_one_batch_undo_it_once(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    line.step(shop.placed("p"))
    facts = line.step(shop.cancel("o"), shop.cancel("o", "c-2"), shop.cancel("p", "c-3"))
    assert [(type(fact).__name__, fact.key) for fact in facts] == [
        ("OrderCancelled", "o"),
        ("OrderCancelled", "p"),
    ]
    assert answers(line)["c-2"] == (TOO_LATE, "CANCELLED", 3)
    assert line.level("tea").reserved_milli == 0


def test_a_paid_order_is_not_undone(line: staged_orders.StagedOrders) -> None:
    line.carry(shop.placed("o"))
    before = timeline(line)
    for _ in range(2):
        assert not line.step(shop.cancel("o"))
        assert answers(line) == {"c-1": (TOO_LATE, "FINALIZED", 4)}
    assert timeline(line) == before


def test_a_refused_order_is_not_undone(line: staged_orders.StagedOrders) -> None:
    line.carry(shop.placed("o", ("nope", 1)))
    assert not line.step(shop.cancel("o"))
    assert answers(line) == {"c-1": (TOO_LATE, "REJECTED", 2)}


def test_another_merchants_order_is_not_undone(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o", merchant_id=shop.OTHER_MERCHANT))
    assert not line.step(shop.cancel("o"))
    levels = inventory_store.list_levels(line.connection, shop.OTHER_MERCHANT, sku="tea")
    assert levels[0][1].reserved_milli == 1_000
    assert requests_of(line) == {"c-1": RequestState.WAITING}


def test_a_cancelled_order_goes_no_further(line: staged_orders.StagedOrders) -> None:
    (accepted,) = line.step(shop.placed("o"))
    line.step(shop.cancel("o"))
    assert not line.carry(accepted)
    assert line.step(shop.placed("o")) == []


@pytest.mark.parametrize("lines", [(("tea", 3),), (("rare", 3),), (("nope", 1),)], ids=str)
def test_an_order_that_comes_after_its_cancellation(
    line: staged_orders.StagedOrders, lines: tuple[tuple[str, int], ...]
) -> None:
    """Also one that would be refused: nothing of it is reserved or charged, whatever it wants."""
    assert not line.step(shop.cancel("o"))
    assert requests_of(line) == {"c-1": RequestState.WAITING}
    order = shop.placed("o", *lines, tenders=(shop.card(),))
    (fact,) = line.carry(order)
    assert isinstance(fact, messages.OrderCancelled)
    assert (fact.version, fact.request_id) == (2, "c-1")
    assert answers(line) == {"c-1": ("", "CANCELLED", 2)}
    view = line.view("o")
    assert (view.state, view.charge_state, view.stock_state) == ("CANCELLED", "NONE", "NONE")
    assert (view.due_at_us, view.reason) == (None, messages.CANCELLED_BY_MERCHANT)
    assert timeline(line) == [
        ("intake", "PLACED", ""),
        ("order_processing", "CANCELLED", ""),
    ]
    assert not view.attempts
    assert line.level("tea").reserved_milli == line.level("rare").reserved_milli == 0
    assert line.carry(order) == [fact]
    assert not line.carry(shop.placed("o", ("cup", 1)))


def test_all_requests_that_waited_get_the_same_answer(line: staged_orders.StagedOrders) -> None:
    line.step(shop.cancel("o", "c-2"), shop.cancel("o"))
    line.step(shop.placed("o"))
    assert answers(line) == dict.fromkeys(("c-1", "c-2"), ("", "CANCELLED", 2))
    assert not line.step(shop.cancel("o", "c-3"))
    assert answers(line)["c-3"] == (TOO_LATE, "CANCELLED", 2)


def test_an_order_and_its_cancellation_in_one_batch(line: staged_orders.StagedOrders) -> None:
    """Their topics have no common order: whichever is first, it is undone."""
    facts = line.carry(shop.cancel("o"), shop.placed("o", ("tea", 2)), shop.placed("p"))
    assert {fact.order_id for fact in facts if isinstance(fact, messages.OrderCancelled)} == {"o"}
    assert line.view("o").state == "CANCELLED"
    assert line.level("tea").reserved_milli == 0


def test_others_of_the_batch_get_what_a_cancelled_order_does_not_take(
    line: staged_orders.StagedOrders,
) -> None:
    line.step(shop.cancel("o"))
    line.carry(shop.placed("o", ("tea", 5)), shop.placed("p", ("tea", 2)))
    assert line.level("tea") == StockLevel(998_000, 0)


def test_an_order_that_its_operator_gives_up(line: staged_orders.StagedOrders) -> None:
    """A dead letter that is dropped: its cancellation has the last word."""
    line.step(shop.cancel("o"))
    refusal = Refusal(messages.RejectReason.GIVEN_UP_BY_OPERATOR, "given up")
    with staged_orders.transaction(line.connection):
        (fact,) = order_processing.refuse(line.connection, [shop.placed("o")], refusal, shop.NOW_US)
    assert isinstance(fact, messages.OrderCancelled)
    assert answers(line) == {"c-1": ("", "CANCELLED", 2)}
