"""Plays the scenes of the demo through the gRPC API and compares what came out with what must.

It must not decide what is right: see scenes.py.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import msgspec
import tenacity

from internal.client import client, sender
from internal.lab.demo import scene_values, scenes
from internal.wire.souk.v1 import order_pb2, order_service_pb2, payment_service_pb2

CALL_S = 30.0
RETRIED_FOR_S = 60.0
R = TypeVar("R")
T = TypeVar("T")


class Played(msgspec.Struct, frozen=True):
    """A scene that was played."""

    name: str
    order_id: str
    store_id: str
    currency: str
    receipt_number: int
    values: scene_values.Values | None
    """The values of the order at its end; None if a call failed."""
    wrong: list[str]
    """The values that differ from the expected ones, described."""


async def play_all(
    connection: client.Client, name: str, tell: Callable[[int, Played], None]
) -> list[Played]:
    """Play all scenes, one after the other; `tell` takes the number of each and what came out.

    The ids of their orders begin with `name`, which must be new to the server.
    """
    played = []
    for number, scene in enumerate(scenes.SCENES, start=1):
        played.append(await play(connection, scene, f"{name}.{number}"))
        tell(number, played[-1])
    return played


async def play(connection: client.Client, scene: scenes.Scene, order_id: str) -> Played:
    """Quote and place the order of a scene, add its later tenders, and follow it to its end."""
    return await _Play(connection, scene, order_id).run()


class _Play:
    """One scene under way."""

    def __init__(self, connection: client.Client, scene: scenes.Scene, order_id: str) -> None:
        self._client, self._scene, self._order_id = connection, scene, order_id
        self._draft = scene.draft(order_id)
        self._quote = order_service_pb2.QuoteOrderResponse()
        self._order = order_pb2.Order()
        self._steps: list[scene_values.Step] = []

    async def run(self) -> Played:
        for act in (self._ask_the_price, self._place, self._pay_later, self._follow):
            if failure := await act():
                return self._played(None, [_text_of(failure)])
        values = scene_values.read(self._quote, self._order, self._steps)
        return self._played(values, list(self._wrong(values)))

    def _played(self, values: scene_values.Values | None, wrong: list[str]) -> Played:
        scene = self._scene
        return Played(
            scene.name,
            self._order_id,
            scene.store_id,
            scene.currency,
            self._order.receipt_number,
            values,
            wrong,
        )

    async def _ask_the_price(self) -> client.Failure | None:
        draft = self._draft
        request = order_service_pb2.QuoteOrderRequest(
            store_id=draft.store_id, currency=draft.currency, lines=draft.lines
        )
        reply = await _patiently(self._client.quote, request)
        if isinstance(reply, client.Failure):
            return reply
        self._quote = reply
        return None

    async def _place(self) -> client.Failure | None:
        body = order_service_pb2.SubmitOrderRequest(
            order=self._draft, wait_for=order_service_pb2.WAIT_FOR_FINALIZED
        ).SerializeToString()
        reply = await _patiently(self._client.submit_order, body)
        if isinstance(reply, client.Failure):
            return reply
        left = scene_values.minor(reply.order, "left_to_pay")
        self._steps.append(
            scene_values.Step(scene_values.name_of(order_pb2.OrderState, reply.state), left)
        )
        return None

    async def _pay_later(self) -> client.Failure | None:
        for number, tender in enumerate(self._scene.later_tenders(), start=1):
            request = payment_service_pb2.AddTenderRequest(
                order_id=self._order_id,
                request_id=f"{self._order_id}.{number}",
                currency=self._scene.currency,
                tender=tender,
            )
            reply = await _patiently(self._client.add_tender, request)
            if isinstance(reply, client.Failure):
                return reply
            outcome = scene_values.name_of(order_pb2.ChargeState, reply.payment.tender.state)
            left = scene_values.minor(reply.payment, "left_to_pay")
            self._steps.append(scene_values.Step(outcome, left))
        return None

    async def _follow(self) -> client.Failure | None:
        await self._client.ended(self._order_id, CALL_S)
        reply = await _patiently(self._client.get, self._order_id)
        if isinstance(reply, client.Failure):
            return reply
        self._order = reply
        return None

    def _wrong(self, values: scene_values.Values) -> Iterator[str]:
        yield from scene_values.differences(values, self._scene.right)
        if list(self._quote.lines) != list(self._order.lines):
            yield "the lines of the order are not those of its quote"
        if self._quote.totals != self._order.totals:
            yield "the totals of the order are not those of its quote"
        if not self._order.receipt_number:
            yield "the order has no receipt number"


async def _patiently(call: Callable[[R, float], Awaitable[T]], request: R) -> T:
    """Repeat a call while the server is away or busy; return its last reply."""
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_result(_may_pass),
        wait=tenacity.wait_random_exponential(multiplier=sender.FIRST_WAIT_S),
        stop=tenacity.stop_after_delay(RETRIED_FOR_S),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    reply: T = await retrying(call, request, CALL_S)
    return reply


def _may_pass(reply: object) -> bool:
    return isinstance(reply, client.Failure) and reply.code in sender.RETRIED


def _text_of(failure: client.Failure) -> str:
    return " ".join(("refused:", failure.code, failure.reason, failure.text)).rstrip()
