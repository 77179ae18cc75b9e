"""Calls of the API server, as the commands of `souk orders` make them: one connection each.

A call that fails ends the command: its failure is printed with a hint, and decides the exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec
import typer

from internal.auth import rules as auth_rules
from internal.cli.options import Server
from internal.client import access as client_access
from internal.client import client
from internal.console import exit_codes, lazy_modules, output
from internal.console.exit_codes import ExitCode, Problem
from internal.console.options import TARGET_DEFAULT

if TYPE_CHECKING:
    from internal.console import installation
else:
    installation = lazy_modules.lazy("internal.console.installation")

T = TypeVar("T")

_HUNG_UP = ("Socket closed", "andshak", "SSL_ERROR")
_REFUSALS = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
    }
)
_HINTS = {
    "API_KEY_INVALID": "`souk merchants rotate-key MERCHANT` makes a new key.",
    "ORDER_NOT_FOUND": "`souk orders list` shows the orders of this API key's merchant.",
    "ORDER_ID_REUSED": "An order id belongs to one order forever: choose another --order-id.",
    "CURRENCY_MISMATCH": "--currency names the store's currency; EUR unless told otherwise.",
}


def call(
    server: Server,
    work: Callable[[client.Client], Awaitable[T | client.Failure]],
    *,
    as_json: bool,
    hint_when_away: str = "",
) -> T:
    """Connect, await `work`, and return its result.

    Args:
        server: where to connect, and how.
        work: makes the calls.
        as_json: whether a failure is printed as JSON.
        hint_when_away: what to do when the call may or may not have had an effect.

    Raises:
        Misconfigured: there is no API key, or a file of the options cannot be used.
        typer.Exit: the call failed.
    """
    access = access_of(server)
    reply = asyncio.run(_connected(access, work))
    if not isinstance(reply, client.Failure):
        return reply
    problem = problem_of(reply, dataclasses.replace(server, target=access.target))
    if hint_when_away and problem.exit_code is ExitCode.AWAY:
        problem = msgspec.structs.replace(problem, hints=(*problem.hints, hint_when_away))
    (output.problem_json if as_json else output.problem)(problem)
    raise typer.Exit(problem.exit_code)


async def _connected(
    access: client_access.Access, work: Callable[[client.Client], Awaitable[T | client.Failure]]
) -> T | client.Failure:
    async with contextlib.aclosing(client.Client(access)) as connection:
        return await work(connection)


def access_of(server: Server) -> client_access.Access:
    """Return the address and the credentials that the options name.

    Raises:
        Misconfigured: there is no API key, or the text in its place is not one.
    """
    with installation.chosen(server.data) as found:
        key = client_access.find_api_key(
            server.api_key_file,
            os.environ,
            found.demo_key_file,
            is_key=lambda text: auth_rules.key_id_of(text) is not None,
        )
    target = server.target or found.target
    if server.tls_ca is None and not client_access.is_loopback(target):
        output.remark(f"The API key goes to {target} in clear text; --tls-ca FILE turns TLS on.")
    return client_access.Access(target, key, server.tls_ca, server.tls_cert, server.tls_key)


def problem_of(failure: client.Failure, server: Server) -> Problem:
    """Describe a failed call: the server's own text, and what to do about it."""
    exit_code = ExitCode.FAILED if failure.code in _REFUSALS else ExitCode.AWAY
    reason = failure.reason or failure.code
    hints = []
    if failure.retry_after_s is not None:
        hints.append(f"Try again in {failure.retry_after_s:g} s.")
    if reason in _HINTS:
        hints.append(_HINTS[reason])
    if not failure.has_status:
        hints += _hints_of_silence(failure, server)
    untold = tuple(it for it in failure.violations if f"{it[0]}: {it[1]}" not in failure.text)
    text = failure.text or "no reason was given"
    return exit_codes.redacted(Problem(exit_code, reason, text, untold, tuple(hints)))


def _hints_of_silence(failure: client.Failure, server: Server) -> list[str]:
    """Return advice for a call that reached no server; only gRPC's code and details tell why."""
    if failure.code == "DEADLINE_EXCEEDED":
        return [f"{server.target} was given {server.timeout_s:g} s; --timeout gives more."]
    if failure.code != "UNAVAILABLE":
        return []
    if any(sign in failure.text for sign in _HUNG_UP):
        return [f"{server.target} hung up: perhaps one side speaks TLS, the other does not."]
    return [
        f"No server answers at {server.target}. `scripts/start` starts one at"
        f" {TARGET_DEFAULT}; --target or SOUK_TARGET names another address."
    ]
