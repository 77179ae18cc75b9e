"""The figures of a drain: rates from two starting points, and the cost of each part."""

import pytest

from internal.lab.bench import cost
from internal.lab.bench.full import drain, process_costs


def costs(**cpu_s: float) -> dict[str, cost.Cost]:
    return {part: cost.Cost(cpu_s.get(part, 0.0), 0.0) for part in process_costs.PARTS}


DRAINED = drain.Drained(
    orders=2_000,
    messages=100,
    opened_at_s=10.0,
    first_at_s=12.0,
    last_at_s=14.0,
    before=costs(database=1.0, broker=3.0, client=1.0),
    after=costs(database=1.5, broker=4.0, client=2.0, finalization=0.5),
)


def test_rates_count_from_the_start_call_and_from_the_first_row() -> None:
    figures = {figure.metric: figure for figure in drain.figures("d", DRAINED, 1_000)}
    assert figures["orders_per_s"].value == pytest.approx(500)
    assert figures["orders_per_s"].is_missed
    assert figures["orders_per_s_from_first_row"].value == pytest.approx(1_000)
    assert figures["orders_per_message"].value == pytest.approx(20)


def test_cost_of_the_client_is_reported_but_not_added() -> None:
    figures = drain.cost_figures("d", DRAINED.before, DRAINED.after, DRAINED.orders, "_at_7")
    by_metric = {figure.metric: figure.value for figure in figures}
    assert by_metric["cpu_s_per_1000_orders_at_7"] == pytest.approx(1.0)
    assert by_metric["cpu_s_per_1000_orders_at_7_database"] == pytest.approx(0.25)
    assert by_metric["cpu_s_per_1000_orders_at_7_client"] == pytest.approx(0.5)
    assert [f.metric.rpartition("_at_7_")[2] for f in figures[1:]] == list(process_costs.PARTS)
