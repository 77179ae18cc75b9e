"""The tables of scripts/bench at 80 columns: whole names, one row a scenario and variant."""

import io

import pytest
from rich.console import Console

from internal.kernel.states import OrderState
from internal.lab.bench import cost, tables
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import drain, process_costs, throughput
from internal.lab.workload import outcomes

S = 1_000_000
VARIANTS = {
    "full_drain": ["", "_single_messages"],
    "full_batch_sustained": [""],
    "full_growth": ["_at_10000", "_at_100000"],
    "full_parallelism": ["_by_1", "_by_2", "_by_4", "_by_8"],
    "db_ceiling": ["_1_client", "_3_clients"],
}


def costs(cpu_s: float, mb: float) -> dict[str, cost.Cost]:
    return {part: cost.Cost(cpu_s, mb) for part in process_costs.PARTS}


def full_suite() -> list[Figure]:
    ends = [outcomes.End(OrderState.FINALIZED, "", at, at + S) for at in range(0, 9 * S, S)]
    figures: list[Figure] = []
    for scenario, suffixes in VARIANTS.items():
        for suffix in suffixes:
            rate = f"orders_per_s{suffix}"
            figures.append(Figure(scenario, rate, 123_456.7, 2_000, more_is_better=True))
            spent = drain.cost_figures(scenario, costs(0, 0), costs(12.34, 0), 1_000, suffix)
            figures += spent if scenario != "db_ceiling" else spent[1:]
    figures += throughput.sustained_figures("full_latency", ends)
    figures.append(Figure("full_vs_plain_functions", "plain_orders_per_s", 99.9))
    samples = [(number, costs(0, 100.0 + number)) for number in (0, 50, 100)]
    return [*figures, *throughput.memory_figures("full_rss", samples, 100)]


def shown(figures: list[Figure], width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=True, highlight=False)
    tables.show(figures, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_no_name_is_broken_at_80_columns() -> None:
    figures = full_suite()
    lines = shown(figures)
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    assert {figure.scenario for figure in figures} <= words
    assert {figure.metric for figure in figures if tables.place_of(figure) is None} <= words
    assert set(tables.MEASURES) | {suffix[1:] for suffix in VARIANTS["db_ceiling"]} <= words
    assert {part.removesuffix("_processing") for part in process_costs.PARTS} <= words
    assert not any("…" in line for line in lines)


def test_each_figure_is_shown_once() -> None:
    figures = [
        Figure("full_drain", f"cpu_s_per_1000_orders{suffix}_{part}", 100 * row + column + 0.25)
        for row, suffix in enumerate(["", "_single_messages"], start=1)
        for column, part in enumerate(process_costs.PARTS)
    ]
    figures.append(Figure("full_drain", "orders_per_s", 5_000.4, 1_000, more_is_better=True))
    lines = [line.split() for line in shown(figures)]
    numbers = [f"{figure.value:.2f}" for figure in figures[:-1]]
    columns = len(process_costs.PARTS)
    assert ["full_drain", *numbers[:columns]] in lines
    assert ["single_messages", *numbers[columns:]] in lines
    assert ["orders_per_s", "5,000", "≥", "1,000", "ok"] in lines


def test_variants_without_a_plain_figure_stand_below_their_scenario() -> None:
    figures = [Figure("full_growth", "cpu_s_per_1000_orders_at_7_intake", 1.0)]
    lines = [line.split() for line in shown(figures)]
    place = lines.index(["full_growth"])
    assert lines[place + 1] == ["at_7", "1.00"]


@pytest.mark.parametrize(
    ("metric", "place"),
    [
        ("cpu_s_per_1000_orders", None),
        ("cpu_s_per_1000_orders_ghz", None),
        ("orders_per_s", None),
        ("mb", None),
        ("mb_at_half", None),
        ("mb_intake", ("mb", "", "intake")),
        ("growth_mb_payment_processing", ("growth_mb", "", "payment_processing")),
        (
            "cpu_s_per_1000_orders_single_messages_broker",
            ("cpu_s_per_1000_orders", "single_messages", "broker"),
        ),
    ],
)
def test_a_figure_of_a_part_is_known_by_its_name(
    metric: str, place: tuple[str, str, str] | None
) -> None:
    found = tables.place_of(Figure("s", metric, 1.0))
    assert (found and (found.measure, found.variant, found.part)) == place


def test_the_embedded_suite_has_no_parts() -> None:
    lines = shown([Figure("embedded_rss", "mb_before", 12.0), Figure("embedded_rss", "mb", 1, 250)])
    assert [line.split() for line in lines if line.strip()][2:] == [
        ["embedded_rss"],
        ["mb_before", "12.00"],
        ["mb", "1.00", "≤", "250", "ok"],
    ]


def test_nothing_measured_prints_nothing() -> None:
    assert shown([]) == []
