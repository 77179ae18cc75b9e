"""Errors and refusals as google.rpc.Status: the one place where anything becomes an answer.

Whatever is not expected becomes INTERNAL with an id that is also in the logs; nothing of its text
leaves the house. Reasons are listed on top of proto/souk/v1/order_service.proto.
"""

from collections.abc import Mapping, Sequence

import grpc
import msgspec
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2
from loguru import logger

from internal.kernel import cards, errors, ids
from internal.pricing.messages import Refusal

DOMAIN = "souk.v1"
VIOLATIONS_MAX = 20
"""Trailing metadata must stay below 8 KiB, or clients lose all of it."""
DESCRIPTION_CHARS_MAX = 200

_AWAY: dict[type[errors.Temporary], tuple[str, str]] = {
    errors.BusAway: (
        "BROKER_UNAVAILABLE",
        "the broker gave no receipt; nothing is lost by sending again",
    ),
    errors.DatabaseAway: ("DATABASE_UNAVAILABLE", "orders cannot be read now"),
}
RETRY_AFTER_S = 1.0


class Refused(msgspec.Struct, frozen=True):
    """A call or an order that is answered with an error; returned, not raised."""

    code: grpc.StatusCode
    reason: str
    """UPPER_SNAKE, as in the ErrorInfo."""
    proto: status_pb2.Status


def of(
    code: grpc.StatusCode,
    reason: str,
    text: str,
    *details: message.Message,
    metadata: Mapping[str, str] | None = None,
) -> Refused:
    """Build a status with an ErrorInfo first and `details` behind it."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata or {})
    status = status_pb2.Status(code=code.value[0], message=text)
    status.details.extend(_packed(detail) for detail in (info, *details))
    return Refused(code, reason, status)


def of_error(error: Exception) -> Refused:
    """Turn whatever was raised into an answer."""
    match error:
        case errors.InvalidInput():
            return invalid(error.code, error.violations)
        case errors.Overloaded():
            return overloaded("BACKLOG_TOO_DEEP", str(error), error.retry_after_s)
        case errors.Temporary():
            return away(error)
        case TimeoutError():
            return pending()
    return internal(error)


def invalid(reason: str, violations: Sequence[tuple[str, str]]) -> Refused:
    """Fields are wrong: [(path, what is wrong)]."""
    shown = [
        error_details_pb2.BadRequest.FieldViolation(field=field, description=_short(what))
        for field, what in violations[:VIOLATIONS_MAX]
    ]
    text = "; ".join(
        f"{field}: {_short(what)}" if field else what for field, what in violations[:3]
    )
    if len(violations) > 3:  # noqa: PLR2004 - as many as are in the text
        text += f"; and {len(violations) - 3} more"
    details = error_details_pb2.BadRequest(field_violations=shown)
    return of(grpc.StatusCode.INVALID_ARGUMENT, reason, text, details)


def unauthenticated(reason: str, text: str) -> Refused:
    """No key, or not a good one."""
    return of(grpc.StatusCode.UNAUTHENTICATED, reason, text)


def overloaded(reason: str, text: str, retry_after_s: float) -> Refused:
    """Too much at once; waiting helps."""
    return of(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, text, _retry(retry_after_s))


def away(error: errors.Temporary) -> Refused:
    """Something behind the door cannot be reached."""
    reason, text = _AWAY.get(type(error), ("TEMPORARILY_UNAVAILABLE", "try again"))
    return of(grpc.StatusCode.UNAVAILABLE, reason, text, _retry(RETRY_AFTER_S))


def shutting_down() -> Refused:
    """This server drains."""
    text = "this server shuts down; go on with another, or with its successor"
    return of(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", text, _retry(RETRY_AFTER_S))


def pending() -> Refused:
    """The deadline came before the outcome."""
    text = "not decided within the deadline; ask again with the same ids"
    return of(grpc.StatusCode.DEADLINE_EXCEEDED, "OUTCOME_PENDING", text, _retry(RETRY_AFTER_S))


def not_found(order_id: str) -> Refused:
    """This merchant has no such order (whoever else may have one)."""
    text = f"there is no order {order_id}"
    return of(grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND", text, metadata={"order_id": order_id})


def order_id_reused(order_id: str) -> Refused:
    """The same key with another body."""
    text = f"another order stands under the id {order_id}; it is untouched"
    metadata = {"order_id": order_id}
    return of(grpc.StatusCode.ALREADY_EXISTS, "ORDER_ID_REUSED", text, metadata=metadata)


def request_id_reused(request_id: str) -> Refused:
    """The same request with other contents."""
    text = f"another request stands under the id {request_id}; its outcome is unchanged"
    metadata = {"request_id": request_id}
    return of(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", text, metadata=metadata)


def not_cancellable(order_id: str, state: str) -> Refused:
    """Too late to cancel."""
    text = f"the order {order_id} is {state} and cannot be cancelled"
    metadata = {"order_id": order_id, "state": state}
    return of(grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_CANCELLABLE", text, metadata=metadata)


def of_refusal(refusal: Refusal) -> Refused:
    """A business refusal of a quote."""
    return of(grpc.StatusCode.FAILED_PRECONDITION, refusal.reason, _short(refusal.explanation))


def internal(error: BaseException) -> Refused:
    """Answer our own mistake: its id to the caller, the rest to the logs."""
    error_id = ids.random_token(8)
    logger.bind(error_id=error_id).opt(exception=error).error("a call failed by our own mistake")
    text = f"our mistake; tell us the error id {error_id}"
    return of(grpc.StatusCode.INTERNAL, "INTERNAL_ERROR", text, metadata={"error_id": error_id})


def _retry(delay_s: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(round(delay_s * 1_000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _packed(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _short(text: str) -> str:
    return cards.redact(text)[:DESCRIPTION_CHARS_MAX]
