"""Sends orders as a good client does: again while the server is away or busy, under the same id.

A Sender waits as long as the server asks, and gives up in the end with the last answer.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from internal.client import client
from internal.wire.souk.v1 import order_pb2, order_service_pb2

RETRIED = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"})
"""After these codes the same order may be accepted; its id makes sending it again harmless.
CANCELLED comes back for calls that are on their way when a server shuts down.
"""
FIRST_WAIT_S = 0.1
WAIT_MAX_S = 5.0


class Patience(msgspec.Struct, frozen=True):
    """How long a client waits."""

    call_s: float = 30.0
    """For an answer."""
    order_s: float = 120.0
    """For an order to be accepted, over all tries."""


class Sender:
    """Places orders, and counts the tries that had to be repeated."""

    def __init__(self, connection: client.Client, patience: Patience, seed: int = 1) -> None:
        self._client, self._patience = connection, patience
        self._chance = random.Random(seed)  # noqa: S311 - spreads retries
        self.retries: Counter[str] = Counter()
        """Tries that failed and were repeated, by code and reason."""
        self.causes: dict[str, str] = {}
        """The server's words with the last try of each name that failed."""

    async def send(self, drafts: Sequence[order_pb2.OrderDraft]) -> list[client.Answer]:
        """Place one order by SubmitOrder or some by SubmitOrders; answers in their order."""
        answers = await self._try(drafts)
        give_up_at_s, tries = time.perf_counter() + self._patience.order_s, 1
        while again := [n for n, answer in enumerate(answers) if answer.code in RETRIED]:
            wait_s = self._wait_s([answers[n] for n in again], tries)
            if time.perf_counter() + wait_s > give_up_at_s:
                break
            self.retries.update(name_of(answers[n]) for n in again)
            await asyncio.sleep(wait_s)
            fresh = await self._try([drafts[n] for n in again])
            tries += 1
            for n, answer in zip(again, fresh, strict=True):
                answers[n] = answer
        return answers

    def _wait_s(self, refused: Sequence[client.Answer], tries: int) -> float:
        asked_s = max(answer.retry_after_s or 0.0 for answer in refused)
        own_s = min(WAIT_MAX_S, FIRST_WAIT_S * 2.0 ** (tries - 1))
        return max(asked_s, own_s) * self._chance.uniform(1.0, 1.5)

    async def _try(self, drafts: Sequence[order_pb2.OrderDraft]) -> list[client.Answer]:
        answers = await submit(self._client, drafts, self._patience.call_s)
        self.causes |= {name_of(it): it.text for it in answers if it.code in RETRIED and it.text}
        return answers


async def submit(
    connection: client.Client,
    drafts: Sequence[order_pb2.OrderDraft],
    timeout_s: float,
    wait_for: order_service_pb2.WaitFor = order_service_pb2.WAIT_FOR_UNSPECIFIED,
) -> list[client.Answer]:
    """Place one order by SubmitOrder, with a wait if wanted, or some by SubmitOrders; try once."""
    if len(drafts) == 1:
        one = order_service_pb2.SubmitOrderRequest(order=drafts[0], wait_for=wait_for)
        body = one.SerializeToString()
        return [await connection.submit(drafts[0].order_id, body, timeout_s)]
    body = order_service_pb2.SubmitOrdersRequest(orders=drafts).SerializeToString()
    return await connection.submit_many([d.order_id for d in drafts], body, timeout_s)


def name_of(answer: client.Answer) -> str:
    """Name what kept an order from being accepted: "RESOURCE_EXHAUSTED BACKLOG_TOO_DEEP"."""
    return f"{answer.code} {answer.reason}".rstrip()
