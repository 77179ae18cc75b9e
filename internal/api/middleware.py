"""Runs every call: its API key, its limits, its deadline, and what becomes of errors.

The only place of the API server that may catch any exception. It knows no protocol: an adapter
builds an IncomingCall and ends its own call with the outcome.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from loguru import logger

from internal.api import (
    authentication,
    calls,
    metrics,
    options,
    status,
    trace_context,
    validation,
)
from internal.infra import traces
from internal.kernel.clock import Clock

O = TypeVar("O")  # noqa: E741 - the outcome
Work = Callable[[calls.Call, Any], Awaitable[O]]


class ConcurrencyLimit:
    """Up to `calls_max` calls at once, each for up to `max_s`."""

    def __init__(self, calls_max: int, default_s: float, max_s: float) -> None:
        self.calls_max, self.default_s, self.max_s = calls_max, default_s, max_s
        self.open_calls = 0


class Middleware:
    """Runs the calls of all services. Adapters that share one also share its limits."""

    def __init__(
        self, authenticator: authentication.Authenticator, clock: Clock, limits: options.Limits
    ) -> None:
        self._authenticator, self._clock, self._limits = authenticator, clock, limits
        longest_s, stream_s = limits.deadline_max_s, limits.watch_deadline_max_s
        self._calls = ConcurrencyLimit(limits.calls_max, limits.deadline_default_s, longest_s)
        self._streams = ConcurrencyLimit(limits.watches_max, stream_s, stream_s)

    async def unary(self, method: calls.Unary, incoming: calls.IncomingCall) -> calls.Answer:
        """Return the answer to a call."""
        return await self._measured(method, self._calls, incoming, method.work)

    async def stream(
        self, method: calls.Stream, incoming: calls.IncomingCall, send: calls.Send
    ) -> status.Refused | None:
        """Send the messages of a stream; return why it ended early, or None."""
        return await self._measured(
            method, self._streams, incoming, lambda call, request: method.work(call, request, send)
        )

    async def _measured(
        self,
        method: calls.Method,
        limit: ConcurrencyLimit,
        incoming: calls.IncomingCall,
        work: Work[O],
    ) -> O | status.Refused:
        """Count and time a call, even one that is cancelled."""
        started_s = time.perf_counter()
        code = "CANCELLED"
        metrics.RPCS_IN_FLIGHT.inc()
        limit.open_calls += 1
        try:
            outcome = await self._admitted(method, limit, incoming, work)
            code = "OK"
            if isinstance(outcome, status.Refused):
                code = outcome.code.name
                metrics.REFUSED.labels(outcome.reason).inc()
            return outcome
        finally:
            limit.open_calls -= 1
            metrics.RPCS_IN_FLIGHT.dec()
            metrics.RPC_SECONDS.labels(method.name, code).observe(time.perf_counter() - started_s)

    async def _admitted(
        self,
        method: calls.Method,
        limit: ConcurrencyLimit,
        incoming: calls.IncomingCall,
        work: Work[O],
    ) -> O | status.Refused:
        """Run a call within its limits."""
        if limit.open_calls > limit.calls_max:
            what = f"{limit.calls_max} calls are open already"
            return status.overloaded("TOO_MANY_CALLS", what, self._limits.retry_after_s)
        left_s = incoming.time_left_s
        left_s = limit.default_s if left_s is None else min(left_s, limit.max_s)
        try:
            async with asyncio.timeout(left_s):
                return await self._authenticated(method, incoming, work, left_s)
        except Exception as error:  # noqa: BLE001 - the one place: any error becomes a typed answer
            return status.of_error(error)

    async def _authenticated(
        self,
        method: calls.Method,
        incoming: calls.IncomingCall,
        work: Work[O],
        left_s: float,
    ) -> O | status.Refused:
        """Run a call if its API key and its request are valid."""
        merchant_id = await authentication.merchant_of(incoming.metadata, self._authenticator)
        if isinstance(merchant_id, status.Refused):
            return merchant_id
        request = validation.read(method, incoming.read)
        if isinstance(request, status.Refused):
            return request
        caller = trace_context.caller_of(incoming.metadata.get(trace_context.TRACEPARENT))
        origin = calls.Origin(merchant_id, caller.trace_id, self._clock.now_us())
        margin_s = min(self._limits.answer_margin_s, left_s / 2)
        call = calls.Call(origin, asyncio.get_running_loop().time() + left_s - margin_s)
        with (
            logger.contextualize(trace_id=origin.trace_id, merchant_id=merchant_id),
            traces.server_span(method.name, *caller, {"souk.merchant_id": merchant_id}),
        ):
            return await work(call, request)
