"""Shows the progress of a run on stderr: a bar on a terminal, elsewhere a line at intervals."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich import console as rich_console
from rich import progress as rich_progress
from rich import text as rich_text

LINE_EVERY_S = 5.0

Tell = Callable[[int], None]
"""Takes the number of orders done so far."""


class Reporter:
    """Shows progress on a console."""

    def __init__(self, console: rich_console.Console) -> None:
        self._console = console

    def say(self, what: str) -> None:
        """Print a line of information beside the figures."""
        self._console.print(what, highlight=False, markup=False)

    @contextlib.contextmanager
    def showing(self, what: str, total: int) -> Iterator[Tell]:
        """Show progress from 0 to `total`; yield the function that reports each step."""
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
    """The recent rate per second."""

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
