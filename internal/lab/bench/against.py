"""Compares this checkout with another commit: each measured by its own bench, in turns.

The other commit gets a git worktree with a virtual environment of its own, below the folder that is
measured; both are deleted afterwards. Must not judge: it tells medians and ratios.
"""

import asyncio
import contextlib
import os
import shutil
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich import box
from rich import console as rich_console

from internal.console import output
from internal.kernel import errors

ROUNDS = 3
"""Each side is measured this often; the median is told."""
END_S = 120.0
"""A bench that is told to end stops its engines and servers within this time."""
TOLD_LINES = 5
"""Of what a bench said before it failed."""
THIS = "this"

Place = tuple[str, str]
"""A figure's scenario and metric."""
Figures = dict[Place, float]


class Request(NamedTuple):
    """What to compare: the checkout, the folder to measure in, the commit, the bench's options."""

    root: Path
    folder: Path
    commit: str
    arguments: Sequence[str]


class Compared(msgspec.Struct, frozen=True):
    """The medians of one figure; None where a side does not have it."""

    scenario: str
    metric: str
    value: float | None
    against: float | None

    @property
    def ratio(self) -> float | None:
        """This checkout's value, as a multiple of the other's."""
        if self.value is None or not self.against:
            return None
        return self.value / self.against


class _Line(msgspec.Struct):
    """A line of the bench's output; the other fields are skipped."""

    scenario: str
    metric: str
    value: float


_read_line = msgspec.json.Decoder(_Line).decode


async def compare(request: Request, tell: Callable[[str], None]) -> list[Compared]:
    """Measure both sides in turns; a bench that fails runs once more.

    Raises:
        Misconfigured: there is no such commit.
        Temporary: a bench failed twice; the message ends with its last lines.
    """
    commit = await _found(request)
    async with _worktree(request, commit) as other:
        names = {request.root: THIS, other: commit[:12]}
        runs: dict[Path, list[Figures]] = {root: [] for root in names}
        order = [side for each in range(ROUNDS) for side in _round(request.root, other, each)]
        for turn, root in enumerate(order, 1):
            tell(f"{turn} of {len(order)}: {names[root]}")
            try:
                measured = await _measured(root, names[root], request.arguments)
            except errors.Temporary as error:
                tell(f"once more, because {error}")
                measured = await _measured(root, names[root], request.arguments)
            runs[root].append(measured)
    return compared(runs[request.root], runs[other])


def compared(ours: Sequence[Figures], theirs: Sequence[Figures]) -> list[Compared]:
    """Return the medians of both sides, in the order of this checkout's first run."""
    places = dict.fromkeys(place for run in (*ours, *theirs) for place in run)
    return [Compared(*place, _median(place, ours), _median(place, theirs)) for place in places]


def figures_in(lines: Iterable[str]) -> Figures:
    """Read what a bench has printed."""
    read = [_read_line(line) for line in lines if line.startswith("{")]
    return {(line.scenario, line.metric): line.value for line in read}


def line_of(one: Compared) -> str:
    """Write a comparison as one line of JSON."""
    return msgspec.json.encode({**msgspec.structs.asdict(one), "ratio": one.ratio}).decode()


def show(found: Sequence[Compared], commit: str, console: rich_console.Console) -> None:
    """Print both sides and their ratio."""
    table = output.SafeTable(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("", no_wrap=True)
    for name in (THIS, commit, "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    scenario = ""
    for one in found:
        if one.scenario != scenario:
            scenario = one.scenario
            table.add_row(scenario)
        table.add_row(f"  {one.metric}", *map(_number, (one.value, one.against, one.ratio)))
    console.print(table, "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _median(place: Place, runs: Sequence[Figures]) -> float | None:
    values = [run[place] for run in runs if place in run]
    return statistics.median(values) if values else None


def _round(ours: Path, other: Path, number: int) -> tuple[Path, Path]:
    """Return who measures first; it changes, so that a drift of the machine favours no side."""
    return (other, ours) if number % 2 else (ours, other)


async def _found(request: Request) -> str:
    name = f"{request.commit}^{{commit}}"
    code, out, _ = await _git(request.root, "rev-parse", "--verify", "--quiet", name)
    if code:
        raise errors.Misconfigured(f"--against: there is no commit {request.commit!r} here")
    return out.strip()


@contextlib.asynccontextmanager
async def _worktree(request: Request, commit: str) -> AsyncIterator[Path]:
    """Check a commit out into a folder of its own; delete it in the end, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="vs-", dir=request.folder) as made:
        other = Path(made) / "souk"
        code, _, err = await _git(request.root, "worktree", "add", "--detach", str(other), commit)
        try:
            if code:
                raise errors.Misconfigured(f"--against: git worktree add: {_last_lines(err)}")
            _share_downloads(request.folder, other)
            yield other
        finally:
            await asyncio.shield(_git(request.root, "worktree", "remove", "--force", str(other)))


def _share_downloads(folder: Path, other: Path) -> None:
    """Let the other checkout use the servers that were downloaded for this one.

    Each file is a hard link. With a symbolic link to the folder, the check of a drain found nothing
    in the gateway's ledger.
    """
    for downloaded in folder.glob("pulsar-*"):
        here = other / ".cache" / downloaded.name
        shutil.copytree(downloaded, here, symlinks=True, copy_function=os.link)


async def _measured(root: Path, name: str, arguments: Sequence[str]) -> Figures:
    """Run the bench of a checkout."""
    code, out, err = await _run([str(root / "scripts" / "bench"), *arguments])
    if code:
        raise errors.Temporary(f"the bench of {name} failed: {_last_lines(err)}")
    return figures_in(out.splitlines())


async def _git(root: Path, *arguments: str) -> tuple[int, str, str]:
    return await _run(["git", "-C", str(root), *arguments])


async def _run(command: Sequence[str]) -> tuple[int, str, str]:
    """Run a program; return its exit code and what it printed. A cancelled one is told to end."""
    pipe = asyncio.subprocess.PIPE
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            async with asyncio.timeout(END_S):
                await process.communicate()
        raise
    return process.returncode or 0, out.decode(), err.decode()


def _last_lines(text: str) -> str:
    """Return the end of what a program said: the last line is rarely the reason."""
    return "\n".join(text.strip().splitlines()[-TOLD_LINES:]) or "it said nothing"
