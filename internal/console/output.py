"""How values look on a terminal: amounts, instants, states, tables, JSON. Decides nothing.

Everything printed through here is escaped: see escapes.py.
"""

import datetime
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from internal.console import escapes
from internal.console.exit_codes import Problem
from internal.kernel import money
from internal.kernel.clock import US_PER_MS, US_PER_SECOND

PIPED_WIDTH = 200
"""The width in columns for a file or another command, where no window sets it."""
VIOLATIONS_SHOWN_MAX = 50
"""The most violations that a terminal shows of a problem; --json has all."""
MS_PER_SECOND = 1_000
MOMENT_CHARS = len("2026-01-01 00:00:00.000")
SECONDS_PER_MINUTE = 60
NEVER_FOLDED = frozenset({"When", "Placed", "Oldest", "Newest", "State", "Stage"})
"""These columns are never folded, whatever the width of the window."""
STATE_STYLES = {
    "PLACED": "blue",
    "ACCEPTED": "cyan",
    "PAID": "cyan",
    "FINALIZED": "green",
    "REJECTED": "red",
    "CANCELLED": "yellow",
    "EXPIRED": "yellow",
}


def terminal(*, stderr: bool = False) -> Console:
    """Return where to print, with markup off, so that data is never taken for it."""
    return _safe(
        Console(
            stderr=stderr, markup=False, highlight=False, emoji=False, width=_width(stderr=stderr)
        )
    )


def report(*, stderr: bool = False) -> Console:
    """Return where to print a report with markup; its lines are not folded."""
    return _safe(
        Console(
            stderr=stderr,
            highlight=False,
            emoji=False,
            soft_wrap=True,
            width=_width(stderr=stderr),
        )
    )


def _safe(console: Console) -> Console:
    console.push_render_hook(escapes.SafetyNet())
    return console


def _width(*, stderr: bool) -> int | None:
    stream = sys.stderr if stderr else sys.stdout
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return PIPED_WIDTH if piped else None


def say(*parts: str | Text, style: str = "") -> None:
    """Print a line of text."""
    line = Text.assemble(*(part if isinstance(part, Text) else one_line(part) for part in parts))
    line.stylize(style)
    terminal().print(line, soft_wrap=True)


def remark(text: str, style: str = "dim") -> None:
    """Print a line that is not a result, on standard error."""
    terminal(stderr=True).print(plain(text), style=style, soft_wrap=True)


def progress(text: str) -> None:
    """Print the current step of a command, on standard error."""
    remark(f"{text} …", style="")


def warn(text: str) -> None:
    """Print a line about a mistake or a failure, on standard error."""
    remark(text, style="red")


def problem_json(it: Problem) -> None:
    """Print why a command did not do what it was asked for, on standard error, as JSON."""
    text = json.dumps({"error": msgspec.to_builtins(it)})
    terminal(stderr=True).print(text, soft_wrap=True)


def problem(it: Problem, title: str = "") -> None:
    """Print why a command did not do what it was asked for, on standard error.

    The line opens with `title`, or with the reason.
    """
    console = terminal(stderr=True)
    head = (f"{title or it.reason}: ", "bold red")
    console.print(Text.assemble(head, plain(it.text)), soft_wrap=True)
    for field, what in it.violations[:VIOLATIONS_SHOWN_MAX]:
        console.print(one_line(f"  {field}: {what}" if field else f"  {what}"), soft_wrap=True)
    if len(it.violations) > VIOLATIONS_SHOWN_MAX:
        console.print(f"  and {len(it.violations) - VIOLATIONS_SHOWN_MAX} more")
    for hint in it.hints:
        console.print(plain(hint), style="dim", soft_wrap=True)


def as_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print a value as indented JSON; a terminal shows it and obeys none of its texts."""
    _write(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))


def as_json_line(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print a value as one line of JSON."""
    _write(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))


def _write(line: str) -> None:
    sys.stdout.write(f"{escapes.in_json(line)}\n")
    sys.stdout.flush()


class SafeTable(Table):
    """A table whose cells that are plain text stay within their line and command nothing."""

    def add_row(
        self,
        *renderables: RenderableType | None,
        style: StyleType | None = None,
        end_section: bool = False,
    ) -> None:
        """Add a row; a cell that shall have several lines is a Text."""
        cells = (one_line(it) if isinstance(it, str) else it for it in renderables)
        super().add_row(*cells, style=style, end_section=end_section)


def table(*columns: str, right: Sequence[str] = (), title: str = "") -> Table:
    """Return an empty table; the columns named in `right` hold numbers."""
    made = SafeTable(
        box=box.SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in columns:
        fixed = name in right or name in NEVER_FOLDED
        made.add_column(
            name, justify="right" if name in right else "left", no_wrap=fixed, overflow="fold"
        )
    return made


def grid() -> Table:
    """Return an empty table without a heading and lines."""
    return SafeTable(
        box=None,
        padding=(0, 2),
        collapse_padding=True,
        show_header=False,
        show_footer=False,
        show_edge=False,
        pad_edge=False,
    )


def plain(text: str) -> str:
    """Return a message of one line or more without anything that commands a terminal."""
    return escapes.lines(text)


def one_line(text: str) -> str:
    """Return a caller's text, such as a name or a note, so that it stays in its line."""
    return escapes.one_line(text)


def amount(minor: int, currency: str) -> str:
    """Write an amount with its currency: "12.34 EUR"."""
    return f"{money.to_text(minor, currency)} {currency}"


def moment(at_us: int) -> str:
    """Write an instant in local time, ISO 8601 to the millisecond, for tables: without the zone."""
    text = instant(at_us)
    return text[:MOMENT_CHARS]


def instant(at_us: int) -> str:
    """Write an instant in local time with its zone, ISO 8601 to the millisecond."""
    seconds, rest_us = divmod(at_us, US_PER_SECOND)
    try:
        at = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{at_us} us"
    return at.replace(microsecond=rest_us).isoformat(sep=" ", timespec="milliseconds")


def duration(length_us: int) -> str:
    """Write how long something took: "0.4 ms", "12 ms", "3.2 s", "2 min 5 s"."""
    ms, rest_us = divmod(max(length_us, 0), US_PER_MS)
    if ms < 10:  # noqa: PLR2004 - below it a tenth matters
        return f"{ms}.{rest_us // 100} ms"
    if ms < MS_PER_SECOND:
        return f"{ms} ms"
    seconds = ms // MS_PER_SECOND
    if seconds < SECONDS_PER_MINUTE:
        return f"{seconds}.{ms % MS_PER_SECOND // 100} s"
    return f"{seconds // SECONDS_PER_MINUTE} min {seconds % SECONDS_PER_MINUTE} s"


def state(name: str) -> Text:
    """Write an order's state in its colour."""
    return Text(name, style=STATE_STYLES.get(name, ""))


def yes_or_no(*, good: bool, yes: str, no: str) -> Text:
    """Write a verdict in green or red."""
    return Text(yes, style="green") if good else Text(no, style="bold red")
