"""A stack for the tests: a real Pulsar and a real MariaDB in a temporary folder, on free ports.

One for each process of the run, started for its first test that needs it (the fixture `stack` of
conftest.py) and deleted at the end. Failpoints of its functions can be armed through the file
`failpoints`.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.infra import settings
from internal.kernel import errors
from internal.stack import ports
from internal.stack import stack as stacks

QUICK_START = "-XX:TieredStopAtLevel=1 -Dpulsar.allocator.exit_on_oom=true"
"""Half the work of a start (8 instead of 16 s of a core): a test's broker is short-lived."""


class Running:
    """A stack that is up."""

    def __init__(self, stack: stacks.Stack) -> None:
        self.stack = stack
        self.folder = stack.folder.root

    @property
    def settings(self) -> settings.Settings:
        """What everything that works with it goes by."""
        return self.stack.settings()

    @property
    def settings_file(self) -> Path:
        """What SOUK_CONFIG is to name for a process that works with it."""
        return self.stack.folder.settings_file

    @property
    def failpoints(self) -> Path:
        """The file in which failpoints are armed for the running functions."""
        return failpoints_in(self.folder)


def failpoints_in(folder: Path) -> Path:
    """Return a stack's file of failpoints."""
    return folder / "failpoints"


def made(folder: Path) -> stacks.Stack:
    """Make a stack that is not up yet."""
    environment = {
        "SOUK_TESTING": "1",
        "SOUK_FAILPOINTS": f"@{failpoints_in(folder)}",
        "PULSAR_EXTRA_OPTS": QUICK_START,
    }
    return stacks.Stack(folder, ports.FREE, environment=environment)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Running]:
    """Bring up a stack, and delete it in the end; skip the test where that cannot be done.

    The logs of one that does not come up are kept, and the error names them.
    """
    stack = made(folder)
    try:
        with stack.logs_kept(Path(tempfile.gettempdir())):
            _bring_up(stack)
        yield Running(stack)
    finally:
        stack.reset()


def _bring_up(stack: stacks.Stack) -> None:
    """Nothing is installed by a test: .ci/run has done that, or a person shall decide."""
    try:
        stack.up(may_install=False)
    except errors.Misconfigured as error:
        missing = f"not run: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)


def listening(pid: int) -> set[tuple[str, int]]:
    """Return where a process listens: {(address, port)}, the address as the kernel prints it."""
    links = (str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS and fields[9] in inodes:
                address, _, port = fields[1].partition(":")
                found.add((address, int(port, 16)))
    return found


LISTENS = "0A"
LOOPBACK = frozenset({"0100007F", "0000000000000000FFFF00000100007F"})
"""127.0.0.1, also as an address of IPv6, in the kernel's way to print them."""
