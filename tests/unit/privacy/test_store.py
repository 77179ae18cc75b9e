"""Private values by subject: those of one are read and erased without those of another."""

import sqlalchemy as sa

from internal.privacy import store
from internal.privacy.store import Held, Subject

LONG = "ü" * 100_000


def test_values_are_found_by_their_subject_until_they_are_erased(
    any_database: sa.Connection,
) -> None:
    first, second = {"note": "a", "token:t1": "b"}, {"note": LONG}
    store.add(any_database, Subject.ORDER, [Held(1, "m-1", first), Held(2, "m-1", second)], 5)
    store.add(any_database, Subject.LETTER, [Held(1, "m-1", {"half": "c"})], 5)
    assert store.find(any_database, Subject.ORDER, [1, 2, 3]) == {1: first, 2: second}
    assert store.erase(any_database, Subject.ORDER, [1, 3]) == 2
    assert store.find(any_database, Subject.ORDER, [1, 2]) == {2: second}
    assert store.find(any_database, Subject.LETTER, [1, 2]) == {1: {"half": "c"}}


def test_no_subject_is_no_statement(any_database: sa.Connection) -> None:
    store.add(any_database, Subject.ORDER, [], 5)
    assert store.find(any_database, Subject.ORDER, []) == {}
    assert store.erase(any_database, Subject.ORDER, []) == 0
