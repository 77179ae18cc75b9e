"""The figures of sustained load and of memory."""

import pytest

from internal.kernel.states import OrderState
from internal.lab.bench import cost
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import process_costs, throughput
from internal.lab.workload import outcomes

S = 1_000_000


def end(placed_at_us: int, ended_at_us: int) -> outcomes.End:
    return outcomes.End(OrderState.FINALIZED, "", placed_at_us, ended_at_us)


def by_metric(figures: list[Figure]) -> dict[str, float]:
    return {figure.metric: figure.value for figure in figures}


def test_ends_after_the_last_ok_do_not_count_as_sustained() -> None:
    ends = [end(0, S), end(5 * S, 6 * S), end(10 * S, 10 * S), end(10 * S, 60 * S)]
    found = by_metric(throughput.sustained_figures("s", ends))
    assert found["seconds"] == pytest.approx(10)
    assert found["orders_per_s"] == pytest.approx(0.3)
    assert found["backlog_at_half"] == 1
    assert found["backlog_at_end"] == 1


def test_memory_is_that_of_the_largest_function_and_grows_from_half() -> None:
    def sample(orders: int, **mb: float) -> throughput.Sample:
        return orders, {part: cost.Cost(0.0, mb.get(part, 10.0)) for part in process_costs.PARTS}

    samples = [
        sample(0, finalization=90.0, broker=900.0),
        sample(50, finalization=120.0, intake=100.0),
        sample(80, finalization=150.0, intake=100.0),
        sample(100, finalization=125.0, intake=101.0),
    ]
    found = by_metric(throughput.memory_figures("m", samples, 100))
    assert found["mb"] == pytest.approx(150)
    assert found["mb_intake"] == pytest.approx(101)
    assert found["growth_mb"] == pytest.approx(5)
    assert found["growth_mb_intake"] == pytest.approx(1)
    assert "mb_broker" not in found
