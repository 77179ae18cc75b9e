"""Two commits of a small repository are compared, whose bench prints what its version says."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.lab.bench import against

BENCH = """\
#!/bin/sh
echo "$0 $*" >> "{log}"
echo '{{"scenario":"s","metric":"orders_per_s","value":{value},"must":1}}'
echo 'no figure'
echo "a table" >&2
exit {code}
"""


class Repository:
    """A checkout with two commits; the second one is twice as fast."""

    def __init__(self, folder: Path) -> None:
        self.root, self.log = folder / "checkout", folder / "log"
        (self.root / "scripts").mkdir(parents=True)
        (self.root / ".cache" / "pulsar-4").mkdir(parents=True)
        self.git("init", "--quiet")
        self.first = self.commit(1_000)
        self.second = self.commit(2_000)

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=e@example.com")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, value: int, code: int | str = 0) -> str:
        bench = self.root / "scripts" / "bench"
        bench.write_text(BENCH.format(log=self.log, value=value, code=code))
        bench.chmod(0o755)
        self.git("add", "scripts")
        self.git("commit", "--quiet", "-m", "faster")
        return self.git("rev-parse", "HEAD")

    def compare(self, commit: str, arguments: Sequence[str] = ()) -> list[against.Compared]:
        request = against.Request(self.root, self.root / ".cache", commit, arguments)
        return asyncio.run(against.compare(request, lambda _: None))

    def left_behind(self) -> tuple[list[str], int]:
        """Return what is new in the cache, and how many worktrees there are."""
        in_cache = [file.name for file in (self.root / ".cache").iterdir()]
        return in_cache, len(self.git("worktree", "list").splitlines())


NOTHING = (["pulsar-4"], 1)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_both_sides_are_measured_in_turns_by_their_own_bench(repository: Repository) -> None:
    (found,) = repository.compare("HEAD~1", ["full", "--orders", "500"])
    assert found == against.Compared("s", "orders_per_s", 2_000, 1_000)
    assert found.ratio == 2
    called = repository.log.read_text().splitlines()
    assert all(line.endswith("scripts/bench full --orders 500") for line in called)
    ours = [line.startswith(f"{repository.root}/scripts") for line in called]
    assert ours == [True, False, False, True, True, False]
    assert repository.left_behind() == NOTHING


@pytest.mark.parametrize("commit", ["mian", "0000000", "--help", ""])
def test_a_typo_in_the_commit_is_one_line(repository: Repository, commit: str) -> None:
    with pytest.raises(errors.Misconfigured, match=f"there is no commit '{commit}' here") as caught:
        repository.compare(commit)
    assert "\n" not in str(caught.value)
    assert repository.left_behind() == NOTHING


def test_a_bench_that_fails_leaves_nothing_behind(repository: Repository) -> None:
    broken = repository.commit(0, code=1)
    repository.commit(3_000)
    with pytest.raises(errors.Temporary, match=f"bench of {broken[:12]} failed: a table"):
        repository.compare(broken)
    assert repository.left_behind() == NOTHING


def test_a_bench_that_fails_once_runs_once_more(repository: Repository) -> None:
    repository.commit(4_000, code=f"$(mkdir {repository.log}.failed && echo 1 || echo 0)")
    (found,) = repository.compare("HEAD~1")
    assert (found.value, found.against) == (4_000, 2_000)
    assert len(repository.log.read_text().splitlines()) == 2 * against.ROUNDS + 1


async def test_an_interrupted_comparison_leaves_nothing_behind(repository: Repository) -> None:
    bench = repository.root / "scripts" / "bench"
    bench.write_text("#!/bin/sh\nexec sleep 60\n")
    request = against.Request(repository.root, repository.root / ".cache", "HEAD~1", [])
    told = asyncio.Event()
    comparing = asyncio.create_task(against.compare(request, lambda _: told.set()))
    await asyncio.wait_for(told.wait(), 10)
    comparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(comparing, 10)
    assert repository.left_behind() == NOTHING


def test_the_median_counts_and_a_figure_may_be_on_one_side_only() -> None:
    ours = [{("s", "ms"): value} for value in (9.0, 1.0, 2.0)]
    theirs = [{("s", "ms"): 4.0, ("s", "mb"): 7.0}]
    same, other = against.compared(ours, theirs)
    assert (same.value, same.against, same.ratio) == (2.0, 4.0, 0.5)
    assert (other.value, other.against, other.ratio) == (None, 7.0, None)
    assert against.line_of(same) == (
        '{"scenario":"s","metric":"ms","value":2.0,"against":4.0,"ratio":0.5}'
    )
