"""Runs every call: its API key, its limits, its deadline, and what becomes of errors.

The only place of the API server that may catch any exception. It knows no protocol: an adapter
builds an IncomingCall and ends its own call with the outcome.
"""

import asyncio
import functools
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf import message
from loguru import logger

from internal.api import authentication, calls, metrics, options, status, trace_context, validation
from internal.api.limits import call_limits, connections
from internal.infra import traces
from internal.kernel.clock import Clock

O = TypeVar("O")  # noqa: E741 - the outcome
Work = Callable[[calls.Call, Any], Awaitable[O]]


class Middleware:
    """Runs the calls of all services. Adapters that share one also share its limits."""

    def __init__(
        self, authenticator: authentication.Authenticator, clock: Clock, limits: options.Limits
    ) -> None:
        self._authenticator, self._clock, self._limits = authenticator, clock, limits
        self._unread = call_limits.UnreadAnswers(limits.unread_bytes_max)
        self._slow_readers = connections.SlowReaders(limits.unread_s, connections.shut)
        longest_s, stream_s = limits.deadline_max_s, limits.watch_deadline_max_s
        self._calls = call_limits.ConcurrencyLimit(
            limits.calls_max, limits.deadline_default_s, longest_s
        )
        self._streams = call_limits.ConcurrencyLimit(limits.watches_max, stream_s, stream_s)

    async def run(self) -> None:
        """Cut connections whose callers do not read their answers, until cancelled."""
        await self._slow_readers.run()

    async def unary(self, method: calls.Unary, incoming: calls.IncomingCall) -> calls.Answer:
        """Return the answer to a call."""
        answer: calls.Answer = await self._measured(method, self._calls, incoming, method.work)
        return answer

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
        limit: call_limits.ConcurrencyLimit,
        incoming: calls.IncomingCall,
        work: Work[O],
    ) -> O | status.Refused:
        """Count and time a call, even one that is cancelled."""
        started_s = time.perf_counter()
        code = "CANCELLED"
        is_admitted = self._enter(limit, incoming)
        try:
            if is_admitted:
                outcome = await self._admitted(method, limit, incoming, work)
                outcome = self._sendable(outcome, incoming)
            else:
                outcome = self._too_many(limit.calls_max)
            code = "OK"
            if isinstance(outcome, status.Refused):
                code = outcome.code.name
                metrics.REFUSED.labels(outcome.reason).inc()
            if incoming.when_sent:
                incoming.when_sent(self._slow_readers.answered(incoming.connection))
            return outcome
        finally:
            if incoming.when_sent is None:
                self._leave(limit, incoming.connection)
            metrics.RPC_SECONDS.labels(method.name, code).observe(time.perf_counter() - started_s)

    def _enter(self, limit: call_limits.ConcurrencyLimit, incoming: calls.IncomingCall) -> bool:
        """Count a call until its answer is sent; tell whether it may be served."""
        metrics.RPCS_IN_FLIGHT.inc()
        is_admitted = limit.enter(incoming.connection)
        if incoming.when_sent:
            incoming.when_sent(functools.partial(self._leave, limit, incoming.connection))
        return is_admitted

    def _leave(self, limit: call_limits.ConcurrencyLimit, connection: str) -> None:
        limit.leave(connection)
        metrics.RPCS_IN_FLIGHT.dec()

    def _too_many(self, calls_max: int) -> status.Refused:
        what = f"{calls_max} calls are open already"
        return status.overloaded("TOO_MANY_CALLS", what, self._limits.retry_after_s)

    def _sendable(
        self, outcome: O | status.Refused, incoming: calls.IncomingCall
    ) -> O | status.Refused:
        """Refuse a large answer while too many wait for their callers to read them."""
        if incoming.when_sent is None or not isinstance(outcome, message.Message):
            return outcome
        size = outcome.ByteSize()
        if not self._unread.add(size):
            what = f"{self._unread.bytes} bytes of answers wait to be read"
            return status.overloaded("ANSWERS_UNREAD", what, self._limits.retry_after_s)
        metrics.UNREAD_BYTES.set(self._unread.bytes)
        incoming.when_sent(functools.partial(self._read, size))
        return outcome

    def _read(self, size: int) -> None:
        self._unread.remove(size)
        metrics.UNREAD_BYTES.set(self._unread.bytes)

    async def _admitted(
        self,
        method: calls.Method,
        limit: call_limits.ConcurrencyLimit,
        incoming: calls.IncomingCall,
        work: Work[O],
    ) -> O | status.Refused:
        """Run a call within its limits."""
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
        caller = await authentication.caller_of(incoming.metadata, self._authenticator)
        if isinstance(caller, status.Refused):
            return caller
        missing = await self._wait_for_request(incoming)
        if missing:
            return missing
        request = validation.read(method, incoming.read)
        if isinstance(request, status.Refused):
            return request
        trace = trace_context.caller_of(incoming.metadata.get(trace_context.TRACEPARENT))
        merchant_id, key_id = caller
        origin = calls.Origin(merchant_id, trace.trace_id, self._clock.now_us(), key_id)
        margin_s = min(self._limits.answer_margin_s, left_s / 2)
        call = calls.Call(origin, asyncio.get_running_loop().time() + left_s - margin_s)
        with (
            logger.contextualize(trace_id=origin.trace_id, merchant_id=merchant_id),
            traces.server_span(method.name, *trace, {"souk.merchant_id": merchant_id}),
        ):
            return await work(call, request)

    async def _wait_for_request(self, incoming: calls.IncomingCall) -> status.Refused | None:
        """Return why a request has not come; a call without one must not hold its place."""
        if incoming.arrived is None:
            return None
        # Calls that came together do not all end together.
        patience_s = self._limits.request_s * random.uniform(0.7, 1.0)  # noqa: S311 - no secret
        try:
            async with asyncio.timeout(patience_s):
                has_come = await incoming.arrived()
        except TimeoutError:
            return status.late(self._limits.request_s)
        return None if has_come else validation.missing()
