"""Prints a load run's figures: counts, times, the histogram of answers, the verdict."""

from collections.abc import Mapping

from rich import box
from rich import console as rich_console
from rich import table as rich_table
from rich.markup import escape

from internal.console import output
from internal.lab.load import run as load_run
from internal.lab.workload import latency

NAMES_SHOWN_MAX = 10


def show(outcome: load_run.Result, console: rich_console.Console) -> None:
    """Print the figures."""
    figures = outcome.figures
    console.print(_counts(figures))
    console.print(_times(figures))
    _show_bars(outcome.answer_ms, console)
    _show_verdict(figures, console)


def _counts(figures: load_run.Figures) -> rich_table.Table:
    table = _grid(f"Souk load run: {figures.profile}")
    for name in ("orders", "accepted", "replayed", "conflicts", "invalid"):
        table.add_row(name, f"{getattr(figures, name):,}")
    _add_reasons(table, "not accepted", figures.errors, figures.causes)
    _add_reasons(table, "retried", figures.retries, figures.causes)
    table.add_row("finalized", f"{figures.finalized:,}")
    _add_reasons(table, "rejected", figures.rejected_by_reason)
    table.add_row("seconds", f"{figures.seconds:,.1f}")
    table.add_row("orders/s to their end", f"{figures.orders_per_s:,.0f}")
    return table


def _add_reasons(
    table: rich_table.Table,
    name: str,
    counts: Mapping[str, int],
    causes: Mapping[str, str] | None = None,
) -> None:
    table.add_row(name, f"{sum(counts.values()):,}")
    for reason, count in counts.items():
        table.add_row(f"  {reason}", f"{count:,}")
        if causes and causes.get(reason):
            table.add_row(f"    {escape(causes[reason])}", "")


def _times(figures: load_run.Figures) -> rich_table.Table:
    table = output.SafeTable("ms", box=box.SIMPLE)
    for name in figures.answer_ms:
        table.add_column(name, justify="right")
    table.add_row("due to answer", *(f"{ms:,.1f}" for ms in figures.answer_ms.values()))
    table.add_row("OK to end", *(f"{ms:,.1f}" for ms in figures.end_ms.values()))
    return table


def _show_bars(answer_ms: latency.Histogram, console: rich_console.Console) -> None:
    table = _grid("Answers")
    table.add_column()
    for label, count, bar in answer_ms.bars():
        table.add_row(label, f"{count:,}", bar)
    console.print(table)


def _show_verdict(figures: load_run.Figures, console: rich_console.Console) -> None:
    for what, names in (
        ("no end came in time for", figures.hanging),
        ("more than one end for", figures.astray),
        (f"{figures.surprises} answers not as expected", figures.surprising),
    ):
        if names:
            more = ", …" if len(names) > NAMES_SHOWN_MAX else ""
            shown = ", ".join(names[:NAMES_SHOWN_MAX])
            console.print(output.one_line(f"{what}: {shown}{more}"), markup=False)
    if figures.verdict_ok:
        console.print("[green]OK: every order that was taken came to exactly one end.[/green]")
    elif figures.accepted:
        console.print("[red]FAILED: not every order that was taken came to exactly one end.[/red]")
    else:
        console.print("[red]FAILED: no order was taken.[/red]")


def _grid(title: str) -> rich_table.Table:
    table = output.SafeTable(box=box.SIMPLE, show_header=False, title=title, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    return table
