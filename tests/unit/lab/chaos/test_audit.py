"""The audit finds every difference between the clients' log and the database."""

import pytest

from internal.client import client
from internal.kernel.states import OrderState
from internal.lab.chaos import audit, clients
from internal.lab.workload import generator
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2
from tests.support import staged_orders
from tests.unit.checks import corruptions

LINES = (("tea", 2_000),)
FINALIZED = audit.Recorded(OrderState.FINALIZED, "", LINES)
DECLINED = audit.Recorded(OrderState.REJECTED, "PAYMENT_DECLINED", LINES)
CANCELLED = audit.Recorded(OrderState.CANCELLED, "", LINES)
PAID = audit.Recorded(OrderState.PAID, "", LINES)


def log_of(code: str = client.OK, state: int = 0, kind: Kind = Kind.ORDINARY) -> clients.Log:
    """Return a log with one answered order."""
    log = clients.Log()
    draft = order_pb2.OrderDraft(order_id="o-1")
    draft.lines.add(sku="tea", quantity_milli=2_000)
    sent = generator.Submission(kind, draft)
    log.sent(sent)
    log.answered(sent, client.Answer("o-1", code, state=state))
    return log


def sentences(log: clients.Log, **recorded: audit.Recorded) -> list[str]:
    named = {name.replace("_", "-"): order for name, order in recorded.items()}
    return [finding.sentence for finding in audit.compared(named, log)]


def test_order_as_expected_is_no_finding() -> None:
    assert sentences(log_of(), o_1=FINALIZED) == []


def test_order_that_no_client_was_told_of_is_found() -> None:
    (found,) = audit.compared({"o-2": audit.Recorded(OrderState.FINALIZED, "", ())}, log_of())
    assert (found.invariant, found.examples) == ("I2", ("o-2",))
    assert found.sentence == "every recorded order was answered OK or left without an answer"


@pytest.mark.parametrize(("order", "is_found"), [(PAID, True), (FINALIZED, False)])
def test_order_without_an_answer_must_end(order: audit.Recorded, is_found: bool) -> None:  # noqa: FBT001
    ends = "an order without an answer comes to its end, too, if it exists"
    assert sentences(log_of("UNAVAILABLE"), o_1=order) == ([ends] if is_found else [])


def test_other_lines_are_found() -> None:
    other = audit.Recorded(OrderState.FINALIZED, "", (("tea", 3),))
    assert sentences(log_of(), o_1=other) == ["an order is recorded with the lines that were sent"]


def test_unexpected_end_is_found() -> None:
    assert sentences(log_of(), o_1=DECLINED) == ["an order comes to the end that is expected of it"]


def test_cancelled_order_needs_a_request() -> None:
    log = log_of()
    assert sentences(log, o_1=CANCELLED) != []
    log.cancel_requested.add("o-1")
    assert sentences(log, o_1=CANCELLED) == []
    log.cancel_answered("o-1", "FAILED_PRECONDITION")
    assert sentences(log, o_1=CANCELLED) != []


def test_an_open_order_expires_only_unpaid() -> None:
    log, expired = log_of(kind=Kind.OPEN), audit.Recorded(OrderState.EXPIRED, "", LINES)
    assert sentences(log, o_1=expired) == []
    log.paid_later.add("o-1")
    assert sentences(log, o_1=expired) != []
    assert sentences(log, o_1=FINALIZED) == []
    assert sentences(log_of(), o_1=expired) != []


def test_answers_about_open_orders() -> None:
    log = log_of(kind=Kind.OPEN)
    finals = [log.request_answered("o-1", code) for code in ("UNAVAILABLE", "NOT_FOUND")]
    assert finals == [False, False]
    assert log.request_answered("o-1", "FAILED_PRECONDITION")
    assert log.request_answered("o-1", client.OK)
    assert log.surprises == []
    assert log.request_answered("o-1", "INTERNAL")
    assert len(log.surprises) == 1


def test_end_that_a_client_was_told_must_stay() -> None:
    log = log_of(state=order_pb2.ORDER_STATE_FINALIZED)
    assert sentences(log, o_1=FINALIZED) == []
    assert "an order stays at the end that a client was told" in sentences(log, o_1=DECLINED)


def test_unexpected_answer_is_found() -> None:
    assert sentences(log_of("INTERNAL")) == ["a client gets no unexpected answer"]


LETTER = corruptions.LETTER.format(kind="order", order="o-1", closed="NULL, ''")
POISON = ("orders.paid", "")
"""As LETTER has it."""


@pytest.mark.parametrize(
    ("wanted", "sentences"),
    [
        ([POISON], []),
        ([], [audit.NO_LETTERS]),
        ([("orders.paid", "another")], [audit.NO_LETTERS, audit.ALL_LETTERS]),
        ([POISON, POISON], [audit.ALL_LETTERS]),
    ],
)
def test_letters_are_those_that_were_expected(
    wanted: list[audit.Letter], sentences: list[str]
) -> None:
    with staged_orders.database() as connection:
        connection.exec_driver_sql(LETTER)
        found = list(audit.letters(connection, wanted))
        assert not list(audit.letters(connection, [], after=1))
    assert [finding.sentence for finding in found] == sentences
    assert {(finding.invariant, finding.count) for finding in found} <= {("I7", 1)}
