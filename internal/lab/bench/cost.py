"""The cost of a process so far, from /proc; zero on systems without /proc."""

import os
from pathlib import Path
from typing import NamedTuple

_STAT_USER, _STAT_SYSTEM = 11, 12
"""Fields of /proc/PID/stat, counted after the name (proc(5))."""


class Cost(NamedTuple):
    """Processor time and memory of a process."""

    cpu_s: float
    rss_mb: float
    """Resident memory, its own or shared, in millions of bytes."""


NOTHING = Cost(0.0, 0.0)


def of(pid: int) -> Cost:
    """Read the cost of a process; zeros on systems without /proc."""
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_text()
        pages = int((folder / "statm").read_text().split()[1])
    except OSError:
        return NOTHING
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_STAT_USER]) + int(fields[_STAT_SYSTEM])
    return Cost(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
