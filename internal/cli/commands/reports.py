"""`souk reports`: lists the reports and shows one of them, as a table, JSON or CSV. Reads only.

Must not know any report: the registry finds them.
"""

import csv
import dataclasses
import sys
from typing import Annotated, NamedTuple

import sqlalchemy as sa
import typer

from internal.cli import database, timestamps
from internal.cli.commands import merchants
from internal.cli.options import Data, MerchantId
from internal.console import lazy_groups, output, suggestions
from internal.console.options import AsJson, flattened
from internal.infra import clock
from internal.kernel import errors, local_days
from internal.reports import registry

app = lazy_groups.new()

DAYS_DEFAULT = 30
DAYS_MAX = 3_660
"""Ten years: one report reads no more than that."""
_NUMBERS = frozenset({registry.Kind.COUNT, registry.Kind.AMOUNT})


@app.command("list")
def list_reports(*, as_json: AsJson = False) -> None:
    """List the reports."""
    found = registry.find_all()
    if as_json:
        listed = [
            {"name": name, "summary": report.summary, "columns": report.columns}
            for name, report in found.items()
        ]
        output.as_json({"reports": listed})
        return
    table = output.table("Report", "Shows", "Columns")
    for name, report in found.items():
        table.add_row(name, report.summary, ", ".join(column.name for column in report.columns))
    output.terminal().print(table)


@dataclasses.dataclass(frozen=True)
class Period:
    """When, by which calendar."""

    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            show_default=f"{DAYS_DEFAULT} whole days ago",
            help="From then on: 2026-03-01, 2026-03-01T09:30, or 2h, 7d ago.",
        ),
    ] = ""
    until: Annotated[
        str, typer.Option(metavar="WHEN", show_default="now", help="Up to then, without it.")
    ] = ""
    time_zone: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="IANA zone of days and of moments without one: Europe/Berlin."
        ),
    ] = timestamps.UTC


@app.command()
@flattened
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `souk reports list` names it.")],
    period: Period,
    *,
    merchant: MerchantId = "",
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV with a line of headings.")
    ] = False,
    data: Data = None,
) -> None:
    """Show a report about one merchant.

    souk reports show sales_by_day --since 2026-03-01 --until 2026-04-01 --time-zone Europe/Berlin
    """
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv", param_hint="--csv")
    report, parameters = _report_of(name), _parameters_of(period)

    def find(connection: sa.Connection) -> Shown:
        merchant_id = merchants.require(connection, merchant)
        rows = report.rows(connection, merchant_id, parameters)
        return Shown(name, report, merchant_id, list(rows))

    shown = database.read(data, find)
    if as_json:
        _print_json(shown, parameters)
    elif as_csv:
        _print_csv(shown)
    else:
        _print_table(shown, parameters)


class Shown(NamedTuple):
    """A report with its rows."""

    name: str
    report: registry.Report
    merchant_id: str
    rows: list[registry.Row]


def _report_of(name: str) -> registry.Report:
    try:
        return registry.find(name)
    except errors.UnknownReport as error:
        text = suggestions.unknown("report", error.name, error.known)
        raise typer.BadParameter(text, param_hint="NAME") from error


def _parameters_of(period: Period) -> registry.Parameters:
    zone, now_us = timestamps.zone(period.time_zone, "--time-zone"), clock.SystemClock().now_us()
    until_us = timestamps.parse(period.until, now_us, "--until", zone) if period.until else now_us
    if period.since:
        since_us = timestamps.parse(period.since, now_us, "--since", zone)
    else:
        since_us = local_days.start_of_day(until_us - DAYS_DEFAULT * local_days.DAY_US, zone)
    is_too_long = until_us - since_us > DAYS_MAX * local_days.DAY_US
    if since_us >= until_us or is_too_long or until_us > local_days.LAST_US:
        what = f"the period must end after it begins, within {DAYS_MAX} days and before 9999"
        raise typer.BadParameter(what, param_hint="--since")
    return registry.Parameters(since_us, until_us, zone)


def _print_json(shown: Shown, parameters: registry.Parameters) -> None:
    names = [column.name for column in shown.report.columns]
    since, until = _period_texts(parameters)
    output.as_json(
        {
            "report": shown.name,
            "merchant_id": shown.merchant_id,
            "since": since,
            "until": until,
            "time_zone": str(parameters.time_zone),
            "columns": shown.report.columns,
            "rows": [dict(zip(names, row, strict=True)) for row in shown.rows],
        }
    )


def _print_csv(shown: Shown) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(column.name for column in shown.report.columns)
    if sys.stdout.isatty():
        writer.writerows([output.one_line(str(value)) for value in row] for row in shown.rows)
    else:
        writer.writerows(shown.rows)


def _print_table(shown: Shown, parameters: registry.Parameters) -> None:
    columns = shown.report.columns
    titles = [column.name.replace("_", " ").capitalize() for column in columns]
    right = [
        title for title, column in zip(titles, columns, strict=True) if column.kind in _NUMBERS
    ]
    table = output.table(*titles, right=right)
    for row in shown.rows:
        table.add_row(*map(str, row))
    output.terminal().print(table)
    since, until = _period_texts(parameters)
    output.remark(f"{shown.merchant_id}, from {since} until {until}, {parameters.time_zone}")


def _period_texts(parameters: registry.Parameters) -> tuple[str, str]:
    zone = parameters.time_zone
    return (
        local_days.instant_text(parameters.since_us, zone),
        local_days.instant_text(parameters.until_us, zone),
    )
