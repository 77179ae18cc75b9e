"""Sales by day: whole days of the zone, one merchant, one currency a row, finalized orders only."""

import zoneinfo
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.kernel.money import INT64_MAX
from internal.kernel.states import OrderState
from internal.reports import registry, sales_by_day
from tests.support import shop, staged_orders
from tests.unit.reports import samples


def report(
    connection: sa.Connection, since: str, until: str, zone: str = "UTC", merchant_id: str = "m-1"
) -> list[registry.Row]:
    parameters = registry.Parameters(
        samples.us_of(since), samples.us_of(until), zoneinfo.ZoneInfo(zone)
    )
    return list(sales_by_day.REPORT.rows(connection, merchant_id, parameters))


def totals(rows: list[registry.Row]) -> list[tuple[int | str, int | str]]:
    """Return (day, total) of each row."""
    return [(row[0], row[-1]) for row in rows]


@pytest.fixture
def memory() -> Iterator[sa.Connection]:
    with staged_orders.database() as connection:
        yield connection


def test_orders_of_a_day_are_added_up_by_store_and_currency(any_database: sa.Connection) -> None:
    samples.add_order(any_database, "2026-03-01T00:00:00+00:00", 1_000)
    samples.add_order(any_database, "2026-03-01T23:59:59+00:00", 234)
    samples.add_order(any_database, "2026-03-01T12:00:00+00:00", 500, currency="JPY")
    samples.add_order(any_database, "2026-03-01T12:00:00+00:00", 700, store_id="annex")
    samples.add_order(any_database, "2026-03-02T00:00:00+00:00", 800)
    assert report(any_database, "2026-03-01T00:00:00+00:00", "2026-03-03T00:00:00+00:00") == [
        ("2026-03-01", "annex", "EUR", 1, "7.05", "0.05", "6.84", "0.16", "7.00"),
        ("2026-03-01", "main", "EUR", 2, "12.44", "0.10", "12.02", "0.32", "12.34"),
        ("2026-03-01", "main", "JPY", 1, "505", "5", "484", "16", "500"),
        ("2026-03-02", "main", "EUR", 1, "8.05", "0.05", "7.84", "0.16", "8.00"),
    ]


def test_days_are_those_of_the_zone_when_the_clocks_change(any_database: sa.Connection) -> None:
    """On 2026-03-29 the clocks of Berlin go from +01:00 to +02:00."""
    for total_minor, placed_at in enumerate(
        (
            "2026-03-28T22:59:59+00:00",
            "2026-03-28T23:00:00+00:00",
            "2026-03-29T21:59:59+00:00",
            "2026-03-29T22:00:00+00:00",
        ),
        start=1,
    ):
        samples.add_order(any_database, placed_at, total_minor * 100)
    period = ("2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00")
    assert totals(report(any_database, *period, "Europe/Berlin")) == [
        ("2026-03-28", "1.00"),
        ("2026-03-29", "5.00"),
        ("2026-03-30", "4.00"),
    ]
    assert totals(report(any_database, *period)) == [("2026-03-28", "3.00"), ("2026-03-29", "7.00")]


def test_an_order_at_the_instant_of_a_change_has_the_new_offset(memory: sa.Connection) -> None:
    """On 2026-10-25 at 00:00 the clocks of Beirut go back to 23:00 of the day before."""
    samples.add_order(memory, "2026-10-24T21:00:00+00:00")
    rows = report(memory, "2026-10-01T00:00:00+00:00", "2026-11-01T00:00:00+00:00", "Asia/Beirut")
    assert totals(rows) == [("2026-10-24", "1.00")]


def test_the_period_is_half_open(memory: sa.Connection) -> None:
    samples.add_order(memory, "2026-03-01T08:59:59+00:00", 100)
    samples.add_order(memory, "2026-03-01T09:00:00+00:00", 200)
    samples.add_order(memory, "2026-03-01T10:00:00+00:00", 400)
    rows = report(memory, "2026-03-01T09:00:00+00:00", "2026-03-01T10:00:00+00:00")
    assert totals(rows) == [("2026-03-01", "2.00")]


@pytest.mark.parametrize("state", sorted(set(OrderState) - {OrderState.FINALIZED}))
def test_only_finalized_orders_count(memory: sa.Connection, state: OrderState) -> None:
    samples.add_order(memory, "2026-03-01T09:00:00+00:00", state=state)
    assert report(memory, "2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00") == []


def test_a_merchant_sees_only_its_own_orders(memory: sa.Connection) -> None:
    samples.add_order(memory, "2026-03-01T09:00:00+00:00", 100)
    samples.add_order(memory, "2026-03-01T09:00:00+00:00", 200, merchant_id="m-2")
    period = ("2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00")
    assert totals(report(memory, *period)) == [("2026-03-01", "1.00")]
    assert totals(report(memory, *period, merchant_id="m-2")) == [("2026-03-01", "2.00")]
    assert report(memory, *period, merchant_id="m-3") == []


def test_large_amounts_stay_exact(memory: sa.Connection) -> None:
    """2**53 is where binary fractions begin to lose units."""
    samples.add_order(memory, "2026-03-01T09:00:00+00:00", 2**53)
    samples.add_order(memory, "2026-03-01T09:00:00+00:00", 2**53 + 1)
    (row,) = report(memory, "2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00")
    assert row[-1] == "180143985094819.85"
    assert INT64_MAX > 2**54 + 1


def test_the_amounts_are_those_that_the_stages_recorded(memory: sa.Connection) -> None:
    """Tea is 10.00 with 19 % inside; a cup is 2.50 with 8.875 % on top."""
    shop.open_for_business(memory)
    stages = staged_orders.StagedOrders(memory)
    stages.carry(shop.placed("o-1"), shop.placed("o-2", ("tea", 1), ("cup", 2)))
    stages.carry(shop.placed("refused", ("nope", 1)))
    (row,) = report(memory, "2023-11-14T00:00:00+00:00", "2023-11-15T00:00:00+00:00")
    assert row == ("2023-11-14", "main", "EUR", 2, "25.00", "0.00", "21.80", "3.64", "25.44")


def test_the_index_by_time_is_walked_once_in_one_query(memory: sa.Connection) -> None:
    statements: list[str] = []

    def note(*event: object) -> None:
        statements.append(str(event[2]))

    samples.add_order(memory, "2026-03-01T09:00:00+00:00")
    sa.event.listen(memory, "before_cursor_execute", note)
    report(memory, "2026-03-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00", "Europe/Berlin")
    sa.event.remove(memory, "before_cursor_execute", note)
    (statement,) = statements
    plan = memory.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (0,) * statement.count("?"))
    steps = " ".join(row.detail for row in plan)
    assert "orders_by_time (merchant_id=? AND placed_at_us>? AND placed_at_us<?)" in steps
    assert "SCAN" not in steps
