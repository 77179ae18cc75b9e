"""Refusals: every error that a caller can get, as a value, and as the google.rpc.Status it becomes.

An unexpected error becomes INTERNAL with an id that is also in the logs; none of its text reaches
the caller. Reasons are listed at the top of proto/souk/v1/order_service.proto. Refusals about one
noun are in that noun's folder.
"""

import enum
from collections.abc import Mapping, Sequence

import msgspec
from google.protobuf import duration_pb2, message
from google.rpc import error_details_pb2, status_pb2
from loguru import logger

from internal.kernel import cards, errors, ids

DOMAIN = "souk.v1"
VIOLATIONS_MAX = 20
"""Trailing metadata must stay below 8 KiB, or gRPC clients lose all of it."""
DESCRIPTION_CHARS_MAX = 200

_AWAY: dict[type[errors.SoukError], tuple[str, str]] = {
    errors.BusAway: (
        "BROKER_UNAVAILABLE",
        "the broker gave no receipt; nothing is lost by sending again",
    ),
    errors.DatabaseAway: ("DATABASE_UNAVAILABLE", "orders cannot be read now"),
    errors.DatabaseDamaged: ("DATABASE_UNAVAILABLE", "the database is damaged; this server stops"),
    errors.TooMuchAtOnce: ("DATABASE_UNAVAILABLE", "the database took too long to answer"),
}
RETRY_AFTER_S = 1.0


class Code(enum.IntEnum):
    """The canonical codes in use. Source: google/rpc/code.proto, which also maps them to HTTP."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Refused(msgspec.Struct, frozen=True):
    """A call or an order that is answered with an error; returned, not raised."""

    code: Code
    reason: str
    """UPPER_SNAKE, as in the ErrorInfo."""
    text: str
    metadata: Mapping[str, str] = {}
    violations: tuple[tuple[str, str], ...] = ()
    """(field path, what is wrong with it), up to VIOLATIONS_MAX."""
    retry_after_s: float | None = None
    """How long to wait before another try; None where another try would not help."""


def to_proto(refused: Refused) -> status_pb2.Status:
    """Return the google.rpc.Status of a refusal: its ErrorInfo first, other details after it."""
    info = error_details_pb2.ErrorInfo(
        reason=refused.reason, domain=DOMAIN, metadata=refused.metadata
    )
    details: list[message.Message] = [info]
    if refused.violations:
        details.append(_bad_request(refused.violations))
    if refused.retry_after_s is not None:
        details.append(_retry_info(refused.retry_after_s))
    status = status_pb2.Status(code=refused.code, message=refused.text)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def of_error(error: Exception) -> Refused:
    """Turn any exception into a refusal."""
    match error:
        case errors.InvalidInput():
            return invalid(error.code, error.violations)
        case errors.Overloaded():
            return overloaded("BACKLOG_TOO_DEEP", str(error), error.retry_after_s)
        case errors.Temporary() | errors.DatabaseDamaged():
            return away(error)
        case TimeoutError():
            return pending()
    return internal(error)


def invalid(reason: str, violations: Sequence[tuple[str, str]]) -> Refused:
    """Fields are wrong: [(path, what is wrong)]."""
    shown = tuple((field, shortened(what)) for field, what in violations[:VIOLATIONS_MAX])
    text = "; ".join(
        f"{field}: {shortened(what)}" if field else what for field, what in violations[:3]
    )
    if len(violations) > 3:  # noqa: PLR2004 - as many as are in the text
        text += f"; and {len(violations) - 3} more"
    return Refused(Code.INVALID_ARGUMENT, reason, text, violations=shown)


def too_large(size_bytes: int) -> Refused:
    """A request takes more bytes than any valid one."""
    return invalid("REQUEST_TOO_LARGE", [("", f"{size_bytes} bytes are too many for this method")])


def unauthenticated(reason: str, text: str) -> Refused:
    """The API key is missing or not valid."""
    return Refused(Code.UNAUTHENTICATED, reason, text)


def overloaded(reason: str, text: str, retry_after_s: float) -> Refused:
    """There is too much to do at once; waiting helps."""
    return Refused(Code.RESOURCE_EXHAUSTED, reason, text, retry_after_s=retry_after_s)


def late(waited_s: float) -> Refused:
    """The headers of a call came, and its request did not."""
    text = f"the request did not come within {waited_s:g} s of its headers"
    return Refused(Code.DEADLINE_EXCEEDED, "REQUEST_LATE", text, retry_after_s=RETRY_AFTER_S)


def away(error: errors.Temporary | errors.DatabaseDamaged) -> Refused:
    """Something that the API server needs cannot be reached."""
    reason, text = _AWAY.get(type(error), ("TEMPORARILY_UNAVAILABLE", "try again"))
    if isinstance(error, errors.Temporary) and error.told:
        text = f"{error.told}; {text}"
    return Refused(Code.UNAVAILABLE, reason, text, retry_after_s=RETRY_AFTER_S)


def shutting_down() -> Refused:
    """This server drains."""
    text = "this server shuts down; go on with another, or with its successor"
    return Refused(Code.UNAVAILABLE, "SHUTTING_DOWN", text, retry_after_s=RETRY_AFTER_S)


def pending() -> Refused:
    """The deadline came before the outcome."""
    text = "not decided within the deadline; ask again with the same ids"
    return Refused(Code.DEADLINE_EXCEEDED, "OUTCOME_PENDING", text, retry_after_s=RETRY_AFTER_S)


def internal(error: BaseException) -> Refused:
    """A bug in Souk: the caller gets an id, the logs get the error."""
    error_id = ids.random_token(8)
    logger.bind(error_id=error_id).opt(exception=error).error("a call failed by our own mistake")
    text = f"our mistake; tell us the error id {error_id}"
    return Refused(Code.INTERNAL, "INTERNAL_ERROR", text, {"error_id": error_id})


def shortened(text: str, kind: cards.FieldKind = cards.FieldKind.TEXT) -> str:
    """Return a text fit for an answer: without card numbers, and not too long."""
    return cards.redact(text, kind)[:DESCRIPTION_CHARS_MAX]


def _bad_request(violations: Sequence[tuple[str, str]]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=field, description=what)
            for field, what in violations
        ]
    )


def _retry_info(delay_s: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(round(delay_s * 1_000))
    return error_details_pb2.RetryInfo(retry_delay=delay)
