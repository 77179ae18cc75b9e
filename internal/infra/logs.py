"""Logs: JSON lines by loguru, one object a line, without secrets and card numbers.

Bind the subject of a line: logger.bind(order_id=…, event_id=…, trace_id=…).info("…").
"""

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from loguru import logger

from internal.infra import settings
from internal.kernel import cards, errors

if TYPE_CHECKING:
    import loguru

KEPT_FILES = 5
SECRET_NAMES = re.compile(r"(api_key|authorization|password|secret|card_token)", re.IGNORECASE)
API_KEY = re.compile(r"souk_[0-9a-f]{12}_[0-9a-f]{64}")
HIDDEN = "[hidden]"


Sink = Callable[["loguru.Message"], None]


def setup(options: settings.LogSettings, sink: Sink | None = None) -> None:
    """Send all logs to one place, as JSON lines: a sink, else a file, else stderr.

    It may be called again.

    Raises:
        Misconfigured: the log file cannot be used.
    """
    logger.remove()
    arguments: dict[str, Any] = {"format": _line, "level": options.level}
    arguments |= {"diagnose": False, "backtrace": False, "colorize": False}
    if sink is not None or options.file is None:
        logger.add(sink or sys.stderr, **arguments)
        return
    arguments |= {"rotation": f"{options.rotation_mib} MB", "retention": KEPT_FILES}
    try:
        options.file.parent.mkdir(parents=True, exist_ok=True)
        logger.add(options.file, **arguments)
    except OSError as error:
        what = f"the log file {options.file} cannot be used: {error}"
        raise errors.Misconfigured(what) from error


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
    line |= {name: value for name, value in record["extra"].items() if name != "_json"}
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
