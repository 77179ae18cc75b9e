"""Runs a document's commands as a reader would: one shell, from the top, looking at what it says.

In its ```console blocks a line with "$ " begins a command and "> " goes on with it; what follows is
what it says. There, … stands for anything within a line, and alone in a line for any lines. How
wide a table is does not matter. A command must succeed, unless the next one is `echo $?`.
"""

import contextlib
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

ANYTHING = "…"
COMMAND_S = 300
"""No command takes longer, on a busy machine either."""
END_S = 10
ASKS_EXIT_CODE = "echo $?"


class Step(msgspec.Struct, frozen=True):
    """A command of a document, where it stands there, and what it is said to say."""

    line: int
    command: str
    says: list[str]


class Answer(msgspec.Struct, frozen=True):
    """What a command said, both streams as they came, and its exit code."""

    text: str
    code: int


def steps(document: str) -> list[Step]:
    """Return the commands of a document, in its order."""
    found: list[Step] = []
    fence = ""
    for number, line in enumerate(document.splitlines(), 1):
        if line.startswith("```"):
            fence = "" if fence else line[3:].strip() or "text"
        elif fence == "console":
            _add(found, number, line)
    return found


def _add(found: list[Step], number: int, line: str) -> None:
    if line.startswith("$ "):
        found.append(Step(number, line[2:], []))
    elif line.startswith("> ") and found and not found[-1].says:
        last = found.pop()
        found.append(msgspec.structs.replace(last, command=f"{last.command}\n{line[2:]}"))
    else:
        found[-1].says.append(line)


def is_as_said(said: Sequence[str], text: str) -> bool:
    """Tell whether a text is what a document says."""
    shape = [_line(line) for line in said if _plain(line)]
    lines = "".join(f"{line}\n" for line in map(_plain, text.splitlines()) if line)
    return re.fullmatch("".join(shape), lines) is not None


def _line(said: str) -> str:
    plain = _plain(said)
    if plain == ANYTHING:
        return r"(?:[^\n]*\n)*?"
    return r"[^\n]*".join(map(re.escape, plain.split(ANYTHING))) + r"\n"


def _plain(line: str) -> str:
    """Leave out what depends on a table's width."""
    return re.sub(r"[─+|-]{3,}", "─", re.sub(r"\s+", " ", line)).strip()


def follow(document: Path, shell: "Shell") -> None:
    """Run a document's commands, and fail at the first that does not do what is said there."""
    every = steps(document.read_text())
    for step, after in zip(every, [*every[1:], None], strict=True):
        answer = shell.run(step.command)
        told = f"{document.name}:{step.line}: {step.command}\nanswered {answer.code}:\n"
        assert is_as_said(step.says, answer.text), told + answer.text
        is_asked_for = after is not None and after.command == ASKS_EXIT_CODE
        assert answer.code == 0 or is_asked_for, told + answer.text


class Shell:
    """One bash for all commands of a document."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._mark = f"-- {secrets.token_hex(8)} "
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path, environment: Mapping[str, str]) -> Iterator[Self]:
        """Start it; end it with all that its commands have left running."""
        shell = cls(folder, environment)
        try:
            yield shell
        finally:
            shell._end()

    def run(self, command: str) -> Answer:
        """Run a command to its end.

        `$?` is that of the command before.

        Raises:
            TimeoutError: it takes too long.
        """
        assert self._bash.stdin
        end = f"__code=$?; printf '\\n%s%s\\n' '{self._mark}' $__code; (exit $__code)"
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\n{end}\n")
        self._bash.stdin.flush()
        with _limit(COMMAND_S, command):
            return self._answer()

    def _answer(self) -> Answer:
        lines: list[str] = []
        for line in self._bash.stdout or ():
            if line.startswith(self._mark):
                return Answer("".join(lines), int(line[len(self._mark) :]))
            lines.append(line)
        return Answer("".join(lines) + "\nthe shell has ended", -1)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        for stream in (self._bash.stdin, self._bash.stdout):
            if stream:
                stream.close()
        try:
            self._bash.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.wait(END_S)


@contextlib.contextmanager
def _limit(seconds: int, what: str) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"after {seconds} s: {what}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
