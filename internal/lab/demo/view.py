"""Prints the demo's figures as a table."""

from rich import box
from rich import console as rich_console
from rich import table as rich_table

from internal.console import output
from internal.lab.demo import run as demo_run
from internal.lab.workload import verification

NAMES_SHOWN_MAX = 10


def show(figures: demo_run.Figures, console: rich_console.Console) -> None:
    """Print the table, and any problems below it."""
    console.print(_table(figures))
    for title, lines in _problems(figures):
        console.print(f"[red]{title}[/red]")
        for line in lines[:NAMES_SHOWN_MAX]:
            console.print(output.one_line(f"  {line}"), markup=False)
        if len(lines) > NAMES_SHOWN_MAX:
            console.print(f"  and {len(lines) - NAMES_SHOWN_MAX} more")
    if figures.is_ok:
        console.print("[green]Every invariant holds; every order came to its expected end.[/green]")


def _table(figures: demo_run.Figures) -> rich_table.Table:
    table = output.SafeTable(
        box=box.SIMPLE, show_header=False, title="Souk demo", title_justify="left"
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in (*_answers(figures), *_ends(figures), *_speeds(figures), *_checks(figures)):
        table.add_row(*row)
    return table


def _wrong(figures: demo_run.Figures) -> list[str]:
    return [f"{scene.name}: {wrong}" for scene in figures.scenes for wrong in scene.wrong]


Row = tuple[str, str, str]


def _answers(figures: demo_run.Figures) -> list[Row]:
    return [
        ("submitted", f"{figures.orders:,}", "one by one and in batches"),
        ("accepted", f"{figures.accepted:,}", "answered OK: stored durably"),
        ("replayed", f"{figures.replayed:,}", "sent again, processed once"),
        ("conflicts", f"{figures.conflicts:,}", "another order under a used id"),
        ("invalid", f"{figures.invalid:,}", "refused by the API server"),
        *_counted(figures.invalid_by_reason),
    ]


def _ends(figures: demo_run.Figures) -> list[Row]:
    return [
        ("finalized", f"{figures.finalized:,}", "paid, booked, receipt numbered"),
        ("rejected", f"{figures.rejected:,}", "reserved stock is released"),
        *_counted(figures.rejected_by_reason),
    ]


def _counted(counts: dict[str, int]) -> list[Row]:
    return [(f"  {reason}", f"{count:,}", "") for reason, count in counts.items()]


def _speeds(figures: demo_run.Figures) -> list[Row]:
    return [
        ("orders/s", f"{figures.orders_per_s:,.0f}", "first OK to last end *"),
        ("p50", f"{figures.p50_ms:,.1f} ms", "from OK to end, all at once *"),
        ("p99", f"{figures.p99_ms:,.1f} ms", ""),
        (
            f"* without {figures.slow} slow",
            f"{figures.slow_max_ms / 1_000:,.1f} s",
            "their gateway fails on purpose",
        ),
    ]


def _checks(figures: demo_run.Figures) -> list[Row]:
    stock = "as its movements say" if figures.stock_ok else "not as its movements say"
    check = "ok" if figures.check_ok else f"{len(figures.findings)} findings"
    right = sum(not scene.wrong for scene in figures.scenes)
    return [
        ("scenes", f"{right} of {len(figures.scenes)}", "came out as the rules say"),
        *(_ledger(currency, sums) for currency, sums in figures.ledger.items()),
        ("stock check", f"{figures.stock_on_hand:,}", f"units, {stock}"),
        ("souk check", check, "every invariant, all orders"),
    ]


def _ledger(currency: str, it: verification.Sums) -> Row:
    is_even = it.debit_minor == it.credit_minor
    balance = (
        "debits = credits" if is_even else f"credits {output.amount(it.credit_minor, currency)}"
    )
    return (f"ledger, {currency}", output.amount(it.debit_minor, currency), balance)


def _problems(figures: demo_run.Figures) -> list[tuple[str, list[str]]]:
    errors = [f"{name}: {count}" for name, count in figures.errors.items()]
    troubles = [
        ("These orders were answered OK and did not end in time:", figures.hanging),
        ("These orders came to more than one end:", figures.astray),
        ("These were not accepted after all retries:", errors),
        (f"{figures.surprises} unexpected answers or ends:", figures.surprising),
        ("The check found:", figures.findings),
        ("These scenes did not come out as the rules say:", _wrong(figures)),
    ]
    return [(title, lines) for title, lines in troubles if lines]
