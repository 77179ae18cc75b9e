"""Findings count all rows and show a few; windows cover every key."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from internal.checks import findings
from internal.checks.scope import Scope
from internal.payments import order_tenders
from tests.support import staged_orders

COUNTERS = sa.table("receipt_counters", sa.column("last_no"))


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    with staged_orders.database() as opened:
        yield opened


def count_to(connection: sa.Connection, rows: int) -> None:
    for number in range(rows):
        values = {"merchant_id": "m-1", "store_id": f"s-{number}", "last_no": number}
        insert = (
            "INSERT INTO receipt_counters (merchant_id, store_id, last_no)"
            " VALUES (:merchant_id, :store_id, :last_no)"
        )
        connection.execute(sa.text(insert), values)


def rule(query: str) -> findings.Rule:
    return findings.Rule("I7", "no counter may exist", query)


@pytest.mark.parametrize("rows", [1, findings.EXAMPLES_MAX, findings.EXAMPLES_MAX + 3])
def test_a_broken_rule_is_counted_and_shown(connection: sa.Connection, rows: int) -> None:
    count_to(connection, rows)
    broken = rule("SELECT store_id, last_no AS last FROM receipt_counters")
    (found,) = findings.evaluate(connection, [broken])
    assert (found.invariant, found.sentence, found.count) == ("I7", "no counter may exist", rows)
    assert len(found.examples) == min(rows, findings.EXAMPLES_MAX)
    assert found.examples[0] == "store_id=s-0 last=0"


def test_rules_that_hold_are_left_out(connection: sa.Connection) -> None:
    count_to(connection, 1)
    holds = rule("SELECT 1 AS one FROM receipt_counters WHERE last_no > 0")
    broken = rule("SELECT 1 AS one FROM receipt_counters")
    found = findings.evaluate(connection, [holds, broken, holds])
    assert [finding.examples for finding in found] == [("one=1",)]


def test_a_rule_about_a_growing_table_is_evaluated_part_by_part(connection: sa.Connection) -> None:
    keys = [*range(1, 4), *range(10**15, 10**15 + findings.PART_ORDERS + 5)]
    fields = {"tender_no": 1, "tender_ref": "t1", "kind": "CASH", "state": "NONE"}
    times = {"amount_minor": 1, "at_us": 0, "updated_at_us": 0}
    rows = [{"order_key": key, **fields, **times} for key in keys]
    connection.execute(order_tenders.ORDER_TENDERS.insert(), rows)
    query = "SELECT order_key FROM order_tenders WHERE order_key > :after AND order_key <= :upto"
    part = findings.by_order(order_tenders.ORDER_TENDERS)
    broken = findings.Rule("I3", "no tender may exist", query, part)
    seen: list[str] = []
    sa.event.listen(connection, "before_cursor_execute", lambda *call: seen.append(call[2]))
    (found,) = findings.evaluate(connection, [broken], Scope(after=1, sealed_day=1))
    assert found.count == len(keys) - 1
    assert found.examples[:3] == ("order_key=2", "order_key=3", f"order_key={10**15}")
    assert len(found.examples) == findings.EXAMPLES_MAX
    assert sum("COUNT" in statement for statement in seen) == 2


def test_rules_may_use_the_names_of_states_and_kinds(connection: sa.Connection) -> None:
    names = ("order_paid", "attempt_unknown", "request_void")
    count_to(connection, 1)
    query = ", ".join(f":{name} AS {name}" for name in names)
    (found,) = findings.evaluate(connection, [rule(f"SELECT {query}")])
    assert found.examples == ("order_paid=PAID attempt_unknown=UNKNOWN request_void=VOID",)


@given(keys=st.sets(st.integers(-5, 60), max_size=20), size=st.integers(1, 25))
def test_windows_cover_every_key_once(keys: set[int], size: int) -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        table = sa.Table("keys", sa.MetaData(), sa.Column("k", sa.Integer, primary_key=True))
        table.create(connection)
        if keys:
            connection.execute(table.insert(), [{"k": key} for key in keys])
        seen: list[int] = []
        for window in findings.windows(connection, table.c.k, size):
            query = sa.text("SELECT k FROM keys WHERE k > :after AND k <= :upto ORDER BY k")
            some = connection.execute(query, window).scalars().all()
            assert len(some) <= size
            seen += some
    assert seen == sorted(keys)


def test_a_collector_counts_all_and_keeps_the_first_examples() -> None:
    collector = findings.Collector("I5")
    for number in range(findings.EXAMPLES_MAX + 1):
        collector.add("first rule", f"case={number}", count=10)
    collector.add("second rule", "case=x")
    first, second = collector.findings()
    assert (first.invariant, first.sentence, first.count) == ("I5", "first rule", 60)
    assert first.examples == tuple(f"case={number}" for number in range(findings.EXAMPLES_MAX))
    assert (second.sentence, second.count, second.examples) == ("second rule", 1, ("case=x",))


def test_an_empty_collector_has_no_findings() -> None:
    assert findings.Collector("I5").findings() == []
