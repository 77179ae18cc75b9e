"""Runs a command line and reports how it ended: one line for a mistake, and an exit code.

The one place where an error becomes text and an exit code.
"""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import typer

from internal.console import exit_codes, output
from internal.console.exit_codes import ExitCode, Problem
from internal.kernel import errors

Report = Callable[[Problem], None]
GRPC_LOG = {"GRPC_VERBOSITY": "NONE"}
"""The library of gRPC writes a line to standard error for each wrong header of a stranger. It reads
this variable when it is imported, which commands do only when they run.
"""


def run(
    application: typer.Typer,
    name: str,
    arguments: Sequence[str],
    report: Report | None = None,
    when_away: ExitCode = ExitCode.AWAY,
) -> int:
    """Run one command and return its exit code.

    Args:
        application: the command, or a group of them. A command returns its exit code, or None.
        name: how the command is called, such as "scripts/load".
        arguments: the command line.
        report: prints a problem; by default in one line that opens with the name.
        when_away: the exit code of Temporary errors. A command that starts its own servers has
            failed when they do not answer.
    """
    for variable, value in GRPC_LOG.items():
        os.environ.setdefault(variable, value)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _require_text(arguments)
        code = application(list(arguments), prog_name=name, standalone_mode=False)
    except typer.TyperException as error:
        return _report_usage(error, name)
    except typer.Abort:
        output.remark("aborted")
        return ExitCode.FAILED
    except (errors.SoukError, OSError) as error:
        problem = exit_codes.of_error(error)
        (report or _reporter(name))(problem)
        return when_away if problem.exit_code is ExitCode.AWAY else problem.exit_code
    except Exception:  # noqa: BLE001 - a bug must not look like a refusal
        traceback.print_exc()
        return ExitCode.BUG
    if code == ExitCode.INTERRUPTED:
        output.remark(f"{_short(name)}: interrupted")
    return code if isinstance(code, int) else ExitCode.OK


def _require_text(arguments: Sequence[str]) -> None:
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        raise errors.Misconfigured("an argument is not text in UTF-8") from None


def _report_usage(error: typer.TyperException, name: str) -> int:
    """Say in one line what is wrong with a command line.

    A group without a command has shown its help instead, and has no message.
    """
    context = getattr(error, "ctx", None)
    if message := _message_of(error):
        command = context.command_path if context else name
        more = " --help" if message.endswith("?") else "; --help"
        output.warn(f"{_short(command)}: {message}{more} tells more")
    return error.exit_code


def _message_of(error: typer.TyperException) -> str:
    """Return Typer's message on one line, without its words for kinds of errors."""
    alike = getattr(error, "possibilities", None)
    if alike:
        return f"{error.message}; did you mean {' or '.join(alike)}?"
    message = " ".join(error.format_message().split()).rstrip(".")
    return message.replace(": Value error, ", ": ", 1).removeprefix("Invalid value: ")


def _reporter(name: str) -> Report:
    return lambda problem: output.problem(problem, title=_short(name))


def _short(command: str) -> str:
    """Leave the folder of a script out: "scripts/stack up" is "stack up"."""
    script, space, rest = command.partition(" ")
    return f"{PurePosixPath(script).name}{space}{rest}"
