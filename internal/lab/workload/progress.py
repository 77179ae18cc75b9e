"""Tells people how far a run is, on stderr: a bar on a terminal, now and then a line elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich import console as rich_console
from rich import progress as rich_progress
from rich import text as rich_text

LINE_EVERY_S = 5.0

Tell = Callable[[int], None]
"""Takes how much is done by now."""


class Reporter:
    """Where progress is told."""

    def __init__(self, console: rich_console.Console) -> None:
        self._console = console

    def say(self, what: str) -> None:
        """Tell in a line what should be known beside the figures."""
        self._console.print(what, highlight=False, markup=False)

    @contextlib.contextmanager
    def showing(self, what: str, total: int) -> Iterator[Tell]:
        """Show the way from 0 to `total`; what is yielded takes each step on it."""
        if not self._console.is_terminal:
            yield _Lines(self._console, what, total).tell
            return
        with _bar(self._console) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)


def _bar(console: rich_console.Console) -> rich_progress.Progress:
    return rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        _Speed(),
        rich_progress.TimeElapsedColumn(),
        console=console,
    )


class _Speed(rich_progress.ProgressColumn):
    """How many a second, lately."""

    def render(self, task: rich_progress.Task) -> rich_text.Text:
        return rich_text.Text(f"{task.speed or 0:,.0f}/s")


class _Lines:
    def __init__(self, console: rich_console.Console, what: str, total: int) -> None:
        self._console, self._what, self._total = console, what, total
        self._told_at_s = time.perf_counter()

    def tell(self, done: int) -> None:
        now_s = time.perf_counter()
        if done < self._total and now_s - self._told_at_s < LINE_EVERY_S:
            return
        self._told_at_s = now_s
        self._console.print(f"{self._what} {done}/{self._total}", highlight=False)
