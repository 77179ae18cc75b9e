"""Errors as people and scripts meet them: a sentence, a hint, an exit code. Pure."""

import re
from enum import IntEnum

import grpc
import msgspec
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from internal.kernel import cards, errors
from internal.kernel.clock import US_PER_SECOND


class ExitCode(IntEnum):
    """What a script can tell by. Documented in docs/cli.md."""

    OK = 0
    REFUSED = 1
    """Refused, not found, rejected: Souk understood and says no."""
    USAGE = 2
    """The command line, a file named in it or a setting is wrong."""
    AWAY = 3
    """The server or the database is away, too busy, or failed; trying again may help."""
    CHECK_FAILED = 4
    """A check ran and found something."""
    BUG = 70
    """A mistake of this command itself, with its traceback. As EX_SOFTWARE of sysexits.h."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a command did not do what it was asked for."""

    exit_code: ExitCode
    reason: str
    """UPPER_SNAKE."""
    text: str
    violations: tuple[tuple[str, str], ...] = ()
    """(field, what is wrong with it), for those that are not in the text."""
    hints: tuple[str, ...] = ()


_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
_UPPER_SNAKE = re.compile(r"(?<=[a-z])([A-Z])")
_HINTS = {
    "API_KEY_INVALID": "`souk merchants rotate-key MERCHANT` makes a new key.",
    "ORDER_NOT_FOUND": "`souk orders list` shows the orders of this API key's merchant.",
    "ORDER_ID_REUSED": "An order id stands for one order for ever: choose another --order-id.",
    "CURRENCY_MISMATCH": "--currency names the store's currency; EUR unless told otherwise.",
}


def of_error(error: errors.SoukError | grpc.RpcError | OSError) -> Problem:
    """Say an expected error. What was noted on it (`add_note`) becomes a hint."""
    problem = _of_call(error) if isinstance(error, grpc.RpcError) else _of_own(error)
    notes = tuple(getattr(error, "__notes__", ()))
    return msgspec.structs.replace(
        problem,
        text=cards.redact(problem.text),
        violations=tuple((field, cards.redact(what)) for field, what in problem.violations),
        hints=problem.hints + notes,
    )


def _of_own(error: errors.SoukError | OSError) -> Problem:
    match error:
        case errors.InvalidInput():
            return _of_input(error)
        case errors.Poison():
            return Problem(ExitCode.REFUSED, error.code, str(error))
        case errors.Misconfigured():
            return Problem(ExitCode.USAGE, "MISCONFIGURED", str(error))
        case OSError():
            return Problem(ExitCode.USAGE, "FILE_UNUSABLE", str(error))
    return Problem(
        ExitCode.AWAY, _UPPER_SNAKE.sub(r"_\1", type(error).__name__).upper(), str(error)
    )


def _of_input(error: errors.InvalidInput) -> Problem:
    if len(error.violations) == 1:
        return Problem(ExitCode.REFUSED, error.code, str(error))
    text = f"{len(error.violations)} mistakes"
    return Problem(ExitCode.REFUSED, error.code, text, tuple(error.violations))


def _of_call(error: grpc.RpcError) -> Problem:
    code = error.code()
    exit_code = ExitCode.REFUSED if code in _REFUSALS else ExitCode.AWAY
    status = status_of(error)
    if status is None:
        return Problem(exit_code, code.name, error.details() or "no reason was given")
    return _of_status(exit_code, code.name, status)


def _of_status(exit_code: ExitCode, code: str, status: status_pb2.Status) -> Problem:
    reason, violations, hints = code, [], []
    info = error_details_pb2.ErrorInfo()
    request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(request):
            violations = [(wrong.field, wrong.description) for wrong in request.field_violations]
        elif detail.Unpack(retry):
            delay_us = retry.retry_delay.ToMicroseconds()
            hints.append(f"Try again in {delay_us / US_PER_SECOND:g} s.")
    if reason in _HINTS:
        hints.append(_HINTS[reason])
    untold = tuple(it for it in violations if f"{it[0]}: {it[1]}" not in status.message)
    return Problem(exit_code, reason, status.message, untold, tuple(hints))


def status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    """Return the server's own words; None when it said nothing, or nobody was reached."""
    try:
        return rpc_status.from_call(error)
    except ValueError:
        return None
