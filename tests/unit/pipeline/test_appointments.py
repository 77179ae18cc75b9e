"""Appointments: taken by one process at a time, and again if nothing came of it."""

import sqlalchemy as sa

from internal.infra import bulk
from internal.kernel.clock import US_PER_SECOND
from internal.pipeline import appointments
from internal.pipeline.appointments import Appointment
from tests.support import staged_orders

HOLD = "hold"
LATER_US = 1_000 * US_PER_SECOND


def take(connection: sa.Connection, now_us: int, most: int = 10) -> list[str]:
    with staged_orders.transaction(connection):
        return [it.subject for it in appointments.take(connection, HOLD, now_us, most)]


def add(connection: sa.Connection, **due_at_us: int) -> None:
    with staged_orders.transaction(connection):
        appointments.add(connection, [Appointment(HOLD, it, at) for it, at in due_at_us.items()])


def found(connection: sa.Connection, *subjects: str) -> dict[str, Appointment]:
    query = appointments.query_of(HOLD, subjects)
    return appointments.found_in(bulk.select(connection, *query))


def test_only_what_is_due_is_taken_the_longest_overdue_first(any_database: sa.Connection) -> None:
    add(any_database, b=20, a=10, c=LATER_US)
    assert appointments.are_due(any_database, HOLD, 20)
    assert not appointments.are_due(any_database, "other", LATER_US)
    assert take(any_database, 20) == ["a", "b"]


def test_what_is_taken_is_left_alone_until_its_lease_ends(any_database: sa.Connection) -> None:
    add(any_database, a=10, b=20)
    assert take(any_database, 20, most=1) == ["a"]
    assert take(any_database, 20) == ["b"]
    assert not appointments.are_due(any_database, HOLD, 20)
    first_us = 20 + appointments.LEASE_FIRST_S * US_PER_SECOND
    assert take(any_database, first_us - 1) == []
    assert take(any_database, first_us) == ["a", "b"]
    assert take(any_database, first_us + appointments.LEASE_FIRST_S * US_PER_SECOND) == []
    assert {it.tries for it in found(any_database, "a", "b").values()} == {2}


def test_a_decision_frees_it_and_a_settled_subject_has_none(any_database: sa.Connection) -> None:
    add(any_database, a=10, b=LATER_US)
    assert take(any_database, 10) == ["a"]
    with staged_orders.transaction(any_database):
        appointments.decide(any_database, [Appointment(HOLD, "a", 11, "CANCELLED")])
    assert found(any_database, "a")["a"].reason == "CANCELLED"
    assert take(any_database, 11) == ["a"]
    with staged_orders.transaction(any_database):
        appointments.delete(any_database, HOLD, ["a"])
    assert set(found(any_database, "a", "b")) == {"b"}
