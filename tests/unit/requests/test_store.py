"""Requests are written once, answered once, found by id and by subject, and deleted when old."""

import pytest
import sqlalchemy as sa

from internal.kernel import errors
from internal.requests import store
from internal.requests.messages import Request, RequestKey, RequestState, SubjectKind
from tests.support import staged_orders
from tests.unit.requests import samples

OF_ORDER = store.Subject("m-1", SubjectKind.ORDER, "o-1")


def add(connection: sa.Connection, *requests: Request) -> None:
    with staged_orders.transaction(connection):
        store.add(connection, requests)


def test_what_was_added_is_found_by_its_key(any_database: sa.Connection) -> None:
    one, two = samples.request(), samples.request("r-2", status="TOO_LATE", actor_key=7, answer="")
    add(any_database, one, two)
    assert store.find(any_database, [one.key, two.key]) == {one.key: one, two.key: two}
    others = [
        RequestKey("m-2", "CancelOrder", "r-1"),
        RequestKey("m-1", "UpdateOrder", "r-1"),
        RequestKey("m-1", "CancelOrder", "R-1"),
    ]
    assert not store.find(any_database, others)


def test_an_id_is_taken_once_for_a_method(any_database: sa.Connection) -> None:
    add(any_database, samples.request(), samples.request(method="UpdateOrder"))
    with pytest.raises(errors.Conflict):
        add(any_database, samples.request(body_hash="other"))
    assert store.find(any_database, [samples.request().key])[samples.request().key].body_hash


def test_an_answer_is_given_once(any_database: sa.Connection) -> None:
    waiting = samples.request(state=RequestState.WAITING, answer="")
    add(any_database, waiting)
    with staged_orders.transaction(any_database):
        store.change(any_database, [samples.request(at_us=5)])
    with pytest.raises(errors.Conflict), staged_orders.transaction(any_database):
        store.change(any_database, [samples.request(answer="another")])
    assert store.find(any_database, [waiting.key])[waiting.key] == samples.request(at_us=5)


def test_open_requests_are_found_by_their_subject(any_database: sa.Connection) -> None:
    late = samples.request("r-1", state=RequestState.WAITING, at_us=2)
    early = samples.request("r-2", state=RequestState.RECEIVED, at_us=1)
    other_kind = samples.request("r-4", state=RequestState.WAITING, subject_kind=SubjectKind.STORE)
    add(any_database, late, early, samples.request("r-3", at_us=3), other_kind)
    assert store.find_open(any_database, [OF_ORDER]) == [early, late]
    assert not store.find_open(any_database, [OF_ORDER._replace(subject="o-2")])
    assert not store.find_open(any_database, [OF_ORDER._replace(merchant_id="m-2")])
    found = store.of_subject(any_database, OF_ORDER)
    assert [it.request_id for it in found] == ["r-2", "r-1", "r-3"]


def test_waiting_ones_are_counted_up_to_a_limit(any_database: sa.Connection) -> None:
    waiting = [samples.request(f"r-{n}", state=RequestState.WAITING) for n in range(3)]
    other = samples.request("r-1", state=RequestState.WAITING, merchant_id="m-2")
    add(any_database, *waiting, other, samples.request("r-9"))
    assert store.count_waiting(any_database, "m-1", 10) == 3
    assert store.count_waiting(any_database, "m-1", 2) == 2
    assert store.count_waiting(any_database, "m-3", 10) == 0


def test_old_ones_are_found_and_deleted_whatever_their_state(any_database: sa.Connection) -> None:
    states = [*RequestState, RequestState.DONE]
    rows = [samples.request(f"r-{n}", state=state, at_us=n) for n, state in enumerate(states)]
    add(any_database, *rows)
    assert len(store.find_old(any_database, 3, 2)) == 2
    old = store.find_old(any_database, 3, 100)
    assert {key.request_id for key in old} == {"r-0", "r-1", "r-2"}
    keys = [row.key for row in rows]
    assert store.delete(any_database, keys, 3) == 3
    assert set(store.find(any_database, keys)) == {rows[3].key}
    assert not store.find_old(any_database, 3, 100)


class TestOnce:
    def test_is_carried_out_once(self, any_database: sa.Connection) -> None:
        done: list[int] = []
        asked = samples.request(answer="")

        def carry_out() -> str:
            done.append(1)
            return f'"{len(done)}"'

        for is_repeated in (False, True):
            with staged_orders.transaction(any_database):
                answer = store.once(any_database, asked, carry_out)
            assert answer == ('"1"', is_repeated)
        assert done == [1]

    def test_another_body_is_refused(self, any_database: sa.Connection) -> None:
        add(any_database, samples.request())
        with pytest.raises(errors.RequestIdReused, match="r-1"):
            store.once(any_database, samples.request(body_hash="other"), lambda: "never")
        assert store.find(any_database, [samples.request().key])

    def test_what_fails_leaves_no_trace(self, any_database: sa.Connection) -> None:
        def refuse() -> str:
            raise errors.InvalidInput([("", "no")])

        with pytest.raises(errors.InvalidInput), staged_orders.transaction(any_database):
            store.once(any_database, samples.request(), refuse)
        assert not store.find(any_database, [samples.request().key])
