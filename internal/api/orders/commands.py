"""Methods that command something about an order: sent to its stage, answered from `requests`.

The stage records each command with its answer under its merchant's request_id, so a repeated one
gets the same answer, whichever server it reaches and however much later. An order that has ended
is answered for at once: nothing about it can change any more. A new command is a row of COMMANDS.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from google.protobuf import message

from internal.api import calls, status
from internal.api.orders import from_wire, order_loader, ports, refusals, to_wire, watch
from internal.flow import topics
from internal.infra import bus
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.orders import codec, messages
from internal.orders import rules as order_rules
from internal.requests import rules
from internal.requests.messages import Request, RequestState
from internal.wire.souk.v1 import order_service_pb2 as wire

WAITING_MAX = 10_000
"""Commands of one merchant that wait for orders that have not come. Their rows are kept for days,
so a stream of them must end somewhere.
"""


class Command(msgspec.Struct, frozen=True):
    """One method: how its request becomes a message, and what its refusal says."""

    request: type[message.Message]
    response: type[message.Message]
    """With the fields of CancelOrderResponse."""
    fact: type[messages.Requested]
    from_wire: Callable[[Any, calls.Origin], messages.Asked]
    """Takes a validated request."""
    too_late: str
    """The reason of the refusal if the order has ended."""
    cannot: str
    """Ends the sentence "the order … is … and cannot"."""
    needs_order: bool = False
    """Whether it is refused without an order: one that was placed just now is waited for."""


COMMANDS = (
    Command(
        request=wire.CancelOrderRequest,
        response=wire.CancelOrderResponse,
        fact=messages.CancelRequested,
        from_wire=from_wire.cancel_requested,
        too_late=order_rules.NOT_CANCELLABLE,
        cannot="be cancelled",
    ),
)
UPDATE_ORDER = Command(
    request=wire.UpdateOrderRequest,
    response=wire.UpdateOrderResponse,
    fact=messages.UpdateOrder,
    from_wire=from_wire.update_requested,
    too_late=order_rules.NOT_OPEN,
    cannot="take these lines",
    needs_order=True,
)


class Commander:
    """Sends commands and waits for their answers."""

    def __init__(
        self,
        publisher: bus.Publisher,
        views: ports.OrderViews,
        loader: order_loader.OrderLoader,
        follower: watch.Follower,
    ) -> None:
        self._publisher, self._views = publisher, views
        self._loader, self._follower = loader, follower

    def methods(self) -> list[calls.Unary]:
        """Return the methods of all commands."""
        return [calls.Unary(c.fact.method, c.request, partial(self.run, c)) for c in COMMANDS]

    async def run(
        self, command: Command, call: calls.Call, request: message.Message
    ) -> calls.Answer:
        """Answer a call of the command's method with the outcome.

        Raises:
            DatabaseAway: the order cannot be looked up now.
            BusAway: the command was not sent.
        """
        asked = command.from_wire(request, call.origin)
        fact = asked.command
        if command.needs_order:
            await self._until_decided(_ref_of(fact).order, call)
        known = await self._loader.command(_ref_of(fact))
        if answer := self._answer(command, fact, known, replayed=True):
            return answer
        if known.request is None and known.order and watch.is_ended(known.order):
            return _refused(command, fact, command.too_late, known.order.state)
        is_new = known.request is None
        if is_new and not self._comes_soon(fact, known) and await self._is_full(fact.merchant_id):
            return refusals.too_many_waiting(WAITING_MAX, self._follower.retry_after_s)
        return await self._send_and_wait(command, asked, call, is_new=is_new)

    async def _until_decided(self, ref: ids.OrderRef, call: calls.Call) -> None:
        """Wait until an order that was answered OK here lately is recorded, if there is a place."""
        if not self._loader.is_recent(ref):
            return
        with self._follower.listen(ref, topics.DECIDED) as listener:
            if listener:
                await listener.until(watch.is_decided, call.answer_by_s, look_at_once=True)

    async def _is_full(self, merchant_id: str) -> bool:
        return await self._views.count_waiting(merchant_id, WAITING_MAX) >= WAITING_MAX

    async def _send_and_wait(
        self, command: Command, asked: messages.Asked, call: calls.Call, *, is_new: bool
    ) -> calls.Answer:
        fact, private = asked
        ref, known = _ref_of(fact), ports.KnownCommand()

        async def look() -> calls.Answer | None:
            nonlocal known
            known = await self._loader.command(ref)
            return self._answer(command, fact, known, replayed=not is_new)

        with self._follower.listen(ref.order, topics.OUTCOMES) as listener:
            if listener is None:
                return refusals.share_used(self._follower.retry_after_s)
            if is_new:
                packed = topics.ENVELOPE.pack([fact], self._publisher.shard_keys, [private])
                await self._publisher.publish(packed)
            answer: calls.Answer | None = await listener.until_found(look, call.answer_by_s)
        if answer is None and _is_waiting(known.request):
            return _waits(command, fact, replayed=not is_new)
        if answer is None:
            return status.shutting_down() if self._follower.is_closing else status.pending()
        return answer

    def _answer(
        self,
        command: Command,
        fact: messages.Requested,
        known: ports.KnownCommand,
        *,
        replayed: bool,
    ) -> calls.Answer | None:
        """Return the answer; None while there is none, or while a better one is on its way.

        A command that waits gets a better one soon if its order was answered OK here.
        """
        request = known.request
        if request is None:
            return None
        if rules.judge(request, fact.body_hash) is rules.Verdict.REUSED:
            return refusals.request_id_reused(request.request_id)
        if request.state is RequestState.DONE:
            return _done(command, fact, request, replayed=replayed)
        if self._comes_soon(fact, known) or not _is_waiting(request):
            return None
        return _waits(command, fact, replayed=replayed)

    def _comes_soon(self, fact: messages.Requested, known: ports.KnownCommand) -> bool:
        return known.order is not None or self._loader.is_recent(_ref_of(fact).order)


def _is_waiting(request: Request | None) -> bool:
    return request is not None and request.state is RequestState.WAITING


def _ref_of(fact: messages.Requested) -> ports.CommandRef:
    return ports.CommandRef(fact.merchant_id, fact.order_id, fact.method, fact.request_id)


def _waits(command: Command, fact: messages.Requested, *, replayed: bool) -> calls.Answer:
    outcome = wire.COMMAND_OUTCOME_WAITING
    return command.response(order_id=fact.order_id, outcome=outcome, replayed=replayed)


def _done(
    command: Command, fact: messages.Requested, request: Request, *, replayed: bool
) -> calls.Answer:
    if not request.answer:
        return refusals.not_found(fact.order_id)
    answer = codec.decode_answer(request.answer)
    if request.status:
        return _refused(command, fact, request.status, answer.state, answer.explanation)
    return command.response(
        order_id=fact.order_id,
        outcome=wire.COMMAND_OUTCOME_DONE,
        state=to_wire.state_of(answer.state),
        version=answer.version,
        replayed=replayed,
    )


def _refused(
    command: Command,
    fact: messages.Requested,
    reason: str,
    state: OrderState,
    explanation: str = "",
) -> status.Refused:
    what = f"the order {fact.order_id} is {state} and cannot {command.cannot}"
    what = f"{what}: {explanation}" if explanation else what
    return refusals.command_refused(reason, fact.order_id, state, what)
