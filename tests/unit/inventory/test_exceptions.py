"""A stock row has one open exception at most, with an owner, and a person closes it."""

import sqlalchemy as sa

from internal.inventory import exceptions
from internal.inventory.messages import StockKey

TEA, CUP = StockKey("m-1", "main", "tea"), StockKey("m-1", "main", "cup", "spring")


def test_a_row_has_one_open_exception(any_database: sa.Connection) -> None:
    exceptions.open_for(any_database, [TEA], "olga", 1)
    exceptions.open_for(any_database, [TEA, CUP], "otto", 2)
    found = exceptions.list_all(any_database, "m-1")
    assert [(it.key, it.owner, it.opened_at_us) for it in found] == [
        (TEA, "olga", 1),
        (CUP, "otto", 2),
    ]
    assert exceptions.list_all(any_database, "m-2") == []


def test_after_a_closed_one_another_is_opened(any_database: sa.Connection) -> None:
    exceptions.open_for(any_database, [TEA], "olga", 1)
    (first,) = exceptions.list_all(any_database, "m-1")
    exceptions.close(any_database, first.exception_key, "otto", "counted again", 2)
    exceptions.open_for(any_database, [TEA], "olga", 3)
    closed, opened = exceptions.list_all(any_database, "m-1", closed_too=True)
    assert (closed.closed_by, closed.closed_because, closed.closed_at_us) == (
        "otto",
        "counted again",
        2,
    )
    assert exceptions.list_all(any_database, "m-1") == [opened]
    assert exceptions.lock(any_database, opened.exception_key) == opened
    assert exceptions.lock(any_database, 99) is None
