"""Logs: JSON lines by loguru, one object a line, without secrets and card numbers.

Bind the subject of a line: logger.bind(order_id=…, event_id=…, trace_id=…).info("…"). A line that a
loop repeats while something is broken is bound to a name, logger.bind(seldom="bus"): of all lines
of that name the first is written, then one after growing pauses, with the number left out.
"""

import contextlib
import io
import logging
import logging.handlers
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from internal.infra import settings
from internal.infra.data_folder import private
from internal.kernel import cards, errors

if TYPE_CHECKING:
    import loguru

KEPT_FILES = 5
SECRET_NAMES = re.compile(r"(api_key|authorization|password|secret|card_token)", re.IGNORECASE)
API_KEY = re.compile(r"souk_[0-9a-f]{12}_[0-9a-f]{64}")
HIDDEN = "[hidden]"
MIB = 1_048_576
FIRST_PAUSE_S = 1.0
PAUSE_MAX_S = 60.0
QUIET_S = 2 * PAUSE_MAX_S
"""After this time without a line of its name the next one counts as the first again."""
NAMES_MAX = 1_000
"""Then all names are forgotten: every one of them is written once more."""
SELDOM, LEFT_OUT = "seldom", "left_out"


Sink = Callable[["loguru.Message"], None]


def setup(options: settings.LogSettings, sink: Sink | None = None) -> None:
    """Send all logs to one place, as JSON lines: a sink, else a file, else stderr.

    It may be called again.

    Raises:
        Misconfigured: the log file cannot be used.
    """
    logger.remove()
    arguments: dict[str, Any] = {"format": _line, "level": options.level, "filter": _is_due}
    arguments |= {"diagnose": False, "backtrace": False, "colorize": False}
    if sink is not None or options.file is None:
        logger.add(sink or sys.stderr, **arguments)
        return
    try:
        options.file.parent.mkdir(mode=private.FOLDER_MODE, parents=True, exist_ok=True)
        logger.add(LogFile(options.file, options.rotation_mib * MIB), **arguments)
    except OSError as error:
        what = f"the log file {options.file} cannot be used: {error}"
        raise errors.Misconfigured(what) from error


class Repeats:
    """Which of many like lines are written; any thread may ask."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._names: dict[str, tuple[float, float, float, int]] = {}
        """{name: (when the next line is due, the pause after it, the last line, lines left out)}"""

    def due(self, name: str) -> int | None:
        """Return how many lines were left out before this one; None to leave it out, too."""
        now_s = self._now_s()
        with self._lock:
            if len(self._names) >= NAMES_MAX and name not in self._names:
                self._names.clear()
            due_s, pause_s, last_s, left_out = self._names.get(name, (0.0, FIRST_PAUSE_S, 0.0, 0))
            if now_s - last_s > QUIET_S:
                due_s, pause_s = now_s, FIRST_PAUSE_S
            if now_s < due_s:
                self._names[name] = (due_s, pause_s, now_s, left_out + 1)
                return None
            longer_s = min(2 * pause_s, PAUSE_MAX_S)
            self._names[name] = (now_s + pause_s, longer_s, now_s, 0)
            return left_out


REPEATS = Repeats()


class LogFile:
    """A log file that rotates, readable by its owner only, with its old ones.

    A line that cannot be written is lost; standard error is told so seldom.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        """Open the file.

        Raises:
            OSError: it cannot be opened.
        """
        self._handler = _Rotating(path, maxBytes=bytes_max, backupCount=KEPT_FILES)

    def write(self, message: str) -> None:
        """Append a line."""
        self._handler.handle(logging.makeLogRecord({"msg": message.rstrip("\n")}))

    def stop(self) -> None:
        """Close the file; on a full disk its last lines are lost."""
        with contextlib.suppress(OSError):
            self._handler.close()


class _Rotating(logging.handlers.RotatingFileHandler):
    def _open(self) -> io.TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=private.opener)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        del record
        left_out = REPEATS.due(self.baseFilename)
        if left_out is not None:
            more = f"; {left_out} more were lost before it" if left_out else ""
            why = sys.exc_info()[1]
            sys.stderr.write(f"souk: a line is lost for {self.baseFilename}: {why}{more}\n")


def _is_due(record: "loguru.Record") -> bool:
    name = record["extra"].get(SELDOM)
    if name is None:
        return True
    left_out = REPEATS.due(str(name))
    record["extra"] |= {LEFT_OUT: left_out} if left_out else {}
    return left_out is not None


def _line(record: "loguru.Record") -> str:
    """Return loguru's template for a record; the JSON is an extra, where braces have no meaning."""
    record["extra"]["_json"] = to_json(record)
    return "{extra[_json]}\n"


def to_json(record: "loguru.Record") -> str:
    """Return a record as one line of JSON, redacted."""
    line: dict[str, Any] = {
        "at": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "where": f"{record['name']}:{record['line']}",
    }
    line |= {n: value for n, value in record["extra"].items() if n not in {"_json", SELDOM}}
    exception = record["exception"]
    if exception is not None and exception.type is not None:
        line["error"] = f"{exception.type.__name__}: {exception.value}"
        line["traceback"] = "".join(traceback.format_exception(exception.value))
    return msgspec.json.encode({n: redact(n, v) for n, v in line.items()}, enc_hook=str).decode()


def redact(name: str, value: Any) -> Any:  # noqa: ANN401 - any logged value
    """Return the value with secrets and card numbers hidden."""
    if SECRET_NAMES.search(name):
        return HIDDEN
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {redact_text(str(key)): redact(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(name, inner) for inner in value]
    if isinstance(value, bool | float | None):
        return value
    shown = redact_text(str(value))
    return value if shown == str(value) and isinstance(value, int) else shown


def redact_text(text: str) -> str:
    """Return `text` without card numbers and API keys."""
    return API_KEY.sub(HIDDEN, cards.redact(text))
