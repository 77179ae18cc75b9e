"""The lines of a log that explain why a process ended, for error messages."""

import re
from pathlib import Path

LINES = 12
END_BYTES = 256 * 1_024
ERROR_LINE = re.compile(r"\b(ERROR|FATAL|CRITICAL)\b|^Caused by|^\w+(\.\w+)*(Error|Exception)\b")


def size_bytes(log: Path) -> int:
    """Return the size of a log, which grows while its program makes progress."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def of(log: Path) -> list[str]:
    """Return the last errors near a log's end, then its last lines; empty without a log.

    A server that fails logs the reason first, and then its whole shutdown.
    """
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - END_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    before, last = lines[:-LINES], lines[-LINES:]
    return [*[line for line in before if ERROR_LINE.search(line)][-LINES:], *last]
