"""A suite's figures as tables for people: the results, then the costs by part of the engine.

All names fit into a window of 80 columns, whole. Decides nothing.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.console import output
from internal.lab.bench.embedded import Figure
from internal.lab.bench.full import process_costs

INDENT = "  "
MEASURES = ("cpu_s_per_1000_orders", "growth_mb", "mb")
"""The metrics that are told of each part, too."""
EXACT_BELOW = 1_000
"""Larger values have no decimals."""


class PartOf(NamedTuple):
    """The place of a part's figure: metric `MEASURE[_VARIANT]_PART` of a scenario."""

    measure: str
    scenario: str
    variant: str
    part: str


def show(figures: Sequence[Figure], console: rich_console.Console) -> None:
    """Print the figures in the order in which they were measured."""
    if not figures:
        return
    places = {figure: place_of(figure) for figure in figures}
    console.print(_results([figure for figure in figures if places[figure] is None]), "")
    parts = [(place, figure.value) for figure, place in places.items() if place is not None]
    for measure in MEASURES:
        if of_measure := [(place, value) for place, value in parts if place.measure == measure]:
            console.print(_by_part(measure, of_measure), "")


def place_of(figure: Figure) -> PartOf | None:
    """Return the place of a part's figure; None for a figure of its own."""
    for part, measure in itertools.product(process_costs.PARTS, MEASURES):
        of_measure = figure.metric.removesuffix(f"_{part}")
        if of_measure != figure.metric and f"{of_measure}_".startswith(f"{measure}_"):
            variant = of_measure.removeprefix(measure).removeprefix("_")
            return PartOf(measure, figure.scenario, variant, part)
    return None


def _results(figures: Iterable[Figure]) -> rich_table.Table:
    table = _table(["value", "goal", ""])
    for scenario, of_scenario in itertools.groupby(figures, lambda figure: figure.scenario):
        table.add_row(scenario)
        for figure in of_scenario:
            table.add_row(f"{INDENT}{figure.metric}", *_cells(figure))
    return table


def _cells(figure: Figure) -> tuple[str, str, str]:
    goal = verdict = ""
    if figure.must is not None:
        goal = f"{'≥' if figure.more_is_better else '≤'} {figure.must:,.0f}"
        verdict = "[red]missed[/red]" if figure.is_missed else "[green]ok[/green]"
    return _number(figure.value), goal, verdict


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= EXACT_BELOW else f"{value:,.2f}"


def _by_part(measure: str, found: Sequence[tuple[PartOf, float]]) -> rich_table.Table:
    """Return a table of one measure: a row per scenario and variant, a column per part."""
    there = {place.part for place, _ in found}
    parts = [part for part in process_costs.PARTS if part in there]
    table = _table((part.removesuffix("_processing") for part in parts), title=f"{measure} by part")
    values = {place: _number(value) for place, value in found}
    for label, scenario, variant in _labels(found):
        cells = (values.get(PartOf(measure, scenario, variant, part), "") for part in parts)
        table.add_row(label, *cells)
    return table


def _labels(found: Sequence[tuple[PartOf, float]]) -> Iterator[tuple[str, str, str]]:
    """Yield (label, scenario, variant) of each row; variants stand below their scenario."""
    rows = dict.fromkeys((place.scenario, place.variant) for place, _ in found)
    told = ""
    for scenario, variant in rows:
        if scenario != told:
            told = scenario
            yield scenario, scenario, ""
        if variant:
            yield f"{INDENT}{variant}", scenario, variant


def _table(columns: Iterable[str], title: str = "") -> rich_table.Table:
    table = output.SafeTable(
        box=box.SIMPLE_HEAD, show_edge=False, padding=0, title=title, title_justify="left"
    )
    table.add_column(no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
