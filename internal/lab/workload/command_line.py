"""What the commands of this room share: options, one line for a mistake, exit codes.

The environment is handed in by the scripts in cmd/.
"""

import argparse
import re
from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

import uvloop
from rich import console as rich_console

from internal.infra import files
from internal.kernel import errors
from internal.lab.workload import client

TARGET_DEFAULT = "127.0.0.1:50051"
KEY_VARIABLE = "SOUK_API_KEY"
GREETING_S = 5.0
NUMBER_MAX = 100_000_000

_TARGET = re.compile(r"[^\s:/]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")


class ExitCode(IntEnum):
    """What a script can tell by; as those of `souk`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    AWAY = 3
    INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Say it and leave."""
        self.exit(ExitCode.USAGE, f"{self.prog}: {message}; --help tells more\n")


def parser(prog: str, purpose: str) -> Parser:
    """Return a parser that takes no abbreviations: a typo must not mean something."""
    return Parser(prog=prog, description=purpose, allow_abbrev=False)


def add_server(to: argparse.ArgumentParser) -> None:
    """Add the options that say where the server is."""
    to.add_argument(
        "--target",
        type=target,
        default=TARGET_DEFAULT,
        metavar="HOST:PORT",
        help="where the server listens (default: %(default)s)",
    )
    to.add_argument(
        "--data",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="data folder of the server, if it is on this machine (default: %(default)s)",
    )
    to.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"holds the API key (default: {KEY_VARIABLE}, or {files.DEMO_KEY} in the data folder)",
    )
    to.add_argument(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="PEM of the authority behind the server's certificate: speak TLS",
    )


def add_orders(to: argparse.ArgumentParser) -> None:
    """Add the options that say what is sent, and where to write what came of it."""
    to.add_argument("--orders", type=number(1), metavar="N", help="how many orders to submit")
    to.add_argument(
        "--seed", type=number(0), default=1, metavar="N", help="makes the orders (default: 1)"
    )
    to.add_argument(
        "--json", type=Path, metavar="FILE", dest="json_file", help="write the figures there"
    )


def target(text: str) -> str:
    """Check HOST:PORT."""
    if not _TARGET.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


def number(least: int, most: int = NUMBER_MAX) -> Callable[[str], int]:
    """Return a check for whole numbers."""

    def check(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            what = f"{text!r} is not a whole number from {least} to {most}"
            raise argparse.ArgumentTypeError(what)
        return int(text)

    return check


def positive(text: str) -> float:
    """Check a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def access_of(options: argparse.Namespace, environment: Mapping[str, str]) -> client.Access:
    """Return where the server is and what opens it.

    Raises:
        Misconfigured: no key is to be found, or a file cannot be read.
    """
    key = _key_of(options, environment)
    if options.tls_ca:
        _read(options.tls_ca)
    return client.Access(options.target, key, options.tls_ca)


def _key_of(options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    if options.api_key_file:
        return _key(_read(options.api_key_file), str(options.api_key_file))
    if environment.get(KEY_VARIABLE):
        return _key(environment[KEY_VARIABLE], KEY_VARIABLE)
    file = options.data / files.DEMO_KEY
    if file.is_file():
        return _key(_read(file), str(file))
    what = f"no API key: set {KEY_VARIABLE} or name a file with --api-key-file"
    raise errors.Misconfigured(f"{what} ({file} does not exist)")


def _key(text: str, where: str) -> str:
    """Return the key, fit for a header; it is never repeated in an error."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise errors.Misconfigured(f"{where} holds no API key")
    return key


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise errors.Misconfigured(f"{path}: {error.strerror}") from error


async def reach(connection: client.Client, where: str) -> None:
    """See that the server answers and takes the key.

    Raises:
        Misconfigured: it does not take the key.
        Temporary: it does not answer, or not now.
    """
    answer = await connection.greet(GREETING_S)
    if answer.is_ok:
        return
    if answer.code == "UNAUTHENTICATED":
        raise errors.Misconfigured(f"{where} does not take the API key: {answer.text}")
    if answer.reason:
        raise errors.Temporary(f"{where} is not ready: {answer.reason} {answer.text}")
    what = f"no server answers at {where} ({answer.code}); `scripts/start` starts one"
    raise errors.Temporary(f"{what} at {TARGET_DEFAULT}")


def run(prog: str, work: Callable[[], Coroutine[Any, Any, ExitCode]]) -> ExitCode:
    """Do the work; say in one line what it cannot cope with."""
    console = rich_console.Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        return uvloop.run(work())
    except errors.Misconfigured as error:
        console.print(f"{prog}: {error}", markup=False)
        return ExitCode.USAGE
    except errors.Temporary as error:
        console.print(f"{prog}: {error}", markup=False)
        return ExitCode.AWAY
    except KeyboardInterrupt:
        console.print(f"{prog}: interrupted")
        return ExitCode.INTERRUPTED


def write_json(path: Path, content: bytes) -> None:
    """Write the figures.

    Raises:
        Misconfigured: there is no writing there.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise errors.Misconfigured(f"--json {path}: {error.strerror}") from error
