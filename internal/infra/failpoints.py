"""Named places where a test may kill the process, raise, or sleep.

Without SOUK_FAILPOINTS, each costs a dict look-up.

SOUK_FAILPOINTS="payment.after_commit=kill@3,db.before_commit=raise@1-5": at the 3rd passage `kill
-9` this process, at passages 1 to 5 raise DatabaseAway. Actions: kill, raise, sleep (1 s). Refused
unless SOUK_TESTING=1. SOUK_FAILPOINTS=@/a/file reads them from a file, again whenever it changes:
for processes that the test has not started itself.
"""

import os
import re
import signal
import time
from pathlib import Path

from internal.kernel import errors

SPEC = re.compile(
    r"^(?P<name>[a-z_.]+)=(?P<action>kill|raise|sleep)(@(?P<first>\d+)(-(?P<last>\d+))?)?$"
)
SLEEP_S = 1.0


class Failpoint:
    """One armed failpoint; it acts from its `first` to its `last` passage."""

    def __init__(self, action: str, first: int, last: int) -> None:
        self.action, self.first, self.last, self.passages = action, first, last, 0

    def hit(self) -> None:
        """Count this passage, and act if it is one of those."""
        self.passages += 1
        if not self.first <= self.passages <= self.last:
            return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "raise":
            raise errors.DatabaseAway("failpoint")
        time.sleep(SLEEP_S)


def parse(text: str) -> dict[str, Failpoint]:
    """Read the setting's text.

    Raises:
        Misconfigured: a part of it is not name=action or name=action@first[-last].
    """
    armed = {}
    for part in filter(None, text.split(",")):
        match = SPEC.match(part.strip())
        if match is None:
            raise errors.Misconfigured(
                f"SOUK_FAILPOINTS: {part!r} is not name=kill|raise|sleep[@first[-last]]"
            )
        first = int(match["first"] or 1)
        last = int(match["last"] or first)
        if not 1 <= first <= last:
            raise errors.Misconfigured(f"SOUK_FAILPOINTS: {part!r} would never act")
        armed[match["name"]] = Failpoint(match["action"], first, last)
    return armed


def from_environment() -> dict[str, Failpoint]:
    """Read SOUK_FAILPOINTS; refuse it outside tests.

    Raises:
        Misconfigured: this is not a test, or the text cannot be read.
    """
    text = os.environ.get("SOUK_FAILPOINTS", "")
    if text and os.environ.get("SOUK_TESTING") != "1":
        raise errors.Misconfigured(
            "SOUK_FAILPOINTS is set, but SOUK_TESTING=1 is not: this is for tests only"
        )
    if text.startswith("@"):
        _watched.append(Watched(Path(text[1:])))
        return {}
    return parse(text)


class Watched:
    """A file of failpoints. A missing file arms none."""

    def __init__(self, path: Path) -> None:
        self._path, self._changed_ns = path, 0

    def look(self) -> None:
        """Arm the file's failpoints, if it has changed since the last look."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            changed_ns = 0
        if changed_ns != self._changed_ns:
            self._changed_ns = changed_ns
            arm(parse(self._path.read_text().strip()) if changed_ns else {})


_armed: dict[str, Failpoint] = {}
_watched: list[Watched] = []


def arm(failpoints: dict[str, Failpoint]) -> None:
    """Replace the armed failpoints."""
    _armed.clear()
    _armed.update(failpoints)


def hit(name: str) -> None:
    """Pass the failpoint called `name`."""
    if _watched:
        _watched[0].look()
    if _armed and name in _armed:
        _armed[name].hit()
