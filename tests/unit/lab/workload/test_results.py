"""Every submission is counted in one place, and unexpected answers are noted."""

from internal.client import client
from internal.lab.workload import generator, results
from internal.lab.workload.scenarios import Kind
from internal.wire.souk.v1 import order_pb2

OK = client.OK


def told(*answers: tuple[Kind, str, str, str]) -> results.Results:
    """Count (kind, order id, code, reason)."""
    counted = results.Results()
    for kind, order_id, code, reason in answers:
        draft = order_pb2.OrderDraft(order_id=order_id)
        counted.add(generator.Submission(kind, draft), client.Answer(order_id, code, reason))
    return counted


def test_everything_as_expected() -> None:
    counted = told(
        (Kind.ORDINARY, "o-1", OK, ""),
        (Kind.AGAIN, "o-1", OK, ""),
        (Kind.REUSED, "o-1", "ALREADY_EXISTS", "ORDER_ID_REUSED"),
        (Kind.INVALID, "o-2", "INVALID_ARGUMENT", "INVALID_MONEY"),
        (Kind.DECLINED, "o-3", OK, ""),
    )
    assert counted.placed == {"o-1": Kind.ORDINARY, "o-3": Kind.DECLINED}
    assert (counted.replayed, counted.conflicts, counted.submissions) == (1, 1, 5)
    assert counted.invalid == {"INVALID_MONEY": 1}
    assert counted.surprises == 0


def test_unexpected_answers_are_surprises() -> None:
    counted = told(
        (Kind.INVALID, "o-1", OK, ""),
        (Kind.REUSED, "o-2", OK, ""),
        (Kind.ORDINARY, "o-3", "INVALID_ARGUMENT", "CARD_NUMBER_REFUSED"),
        (Kind.INVALID, "o-4", "INTERNAL", "INTERNAL_ERROR"),
        (Kind.ORDINARY, "o-5", "UNAVAILABLE", ""),
    )
    assert counted.surprises == counted.submissions == 5
    assert counted.errors == {"INTERNAL INTERNAL_ERROR": 1, "UNAVAILABLE": 1}


def test_only_some_surprises_are_described() -> None:
    counted = told(*[(Kind.INVALID, f"o-{n}", OK, "") for n in range(100)])
    assert counted.surprises == 100
    assert len(counted.surprising) == results.SURPRISES_MAX
