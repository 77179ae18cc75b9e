"""Errors as people and scripts see them: a sentence, a hint, an exit code. Pure."""

import re
from enum import IntEnum

import msgspec

from internal.kernel import cards, errors


class ExitCode(IntEnum):
    """The result of a command, for scripts. Documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    """Refused, not found, rejected; or a run did not end as it must."""
    USAGE = 2
    """The command line, a file named in it or a setting is wrong."""
    AWAY = 3
    """A server or the database is away, too busy, or failed; trying again may help."""
    CHECK_FAILED = 4
    """A check ran and found something."""
    BUG = 70
    """A bug in the command itself, with its traceback. As EX_SOFTWARE of sysexits.h."""
    INTERRUPTED = 130
    """Ctrl-C: 128 and the signal's number."""
    TERMINATED = 143
    """SIGTERM: 128 and the signal's number."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a command did not do what it was asked for."""

    exit_code: ExitCode
    reason: str
    """UPPER_SNAKE."""
    text: str
    violations: tuple[tuple[str, str], ...] = ()
    """(field, what is wrong with it), for those that are not in the text."""
    hints: tuple[str, ...] = ()


_WORD_START = re.compile(r"(?<=[a-z])([A-Z])")


def of_error(error: errors.SoukError | OSError) -> Problem:
    """Describe an expected error. Notes on it (`add_note`) become hints."""
    problem = _described(error)
    return redacted(msgspec.structs.replace(problem, hints=tuple(getattr(error, "__notes__", ()))))


def redacted(problem: Problem) -> Problem:
    """Return a problem without what looks like a card number."""
    return msgspec.structs.replace(
        problem,
        text=cards.redact(problem.text),
        violations=tuple((field, cards.redact(what)) for field, what in problem.violations),
    )


def _described(error: errors.SoukError | OSError) -> Problem:
    match error:
        case errors.InvalidInput():
            return _of_input(error)
        case errors.Poison():
            return Problem(ExitCode.FAILED, error.code, str(error))
        case errors.Misconfigured():
            return Problem(ExitCode.USAGE, "MISCONFIGURED", str(error))
        case OSError():
            return Problem(ExitCode.USAGE, "FILE_UNUSABLE", str(error))
    return Problem(ExitCode.AWAY, _WORD_START.sub(r"_\1", type(error).__name__).upper(), str(error))


def _of_input(error: errors.InvalidInput) -> Problem:
    if len(error.violations) == 1:
        return Problem(ExitCode.FAILED, error.code, str(error))
    text = f"{len(error.violations)} mistakes"
    return Problem(ExitCode.FAILED, error.code, text, tuple(error.violations))
