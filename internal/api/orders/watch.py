"""Waits for an order to reach a state, and follows its steps one by one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from internal.api import options
from internal.api.limits import merchant_shares
from internal.api.orders import notifier, order_loader, ports
from internal.flow import topics
from internal.kernel import errors, ids, states
from internal.orders.messages import Submission
from internal.views.order import OrderView, TimelineEntry

T = TypeVar("T")

FIRST_PAUSE_S = 0.02
"""For outcomes that no topic carries, such as a refused cancel request."""

Known = OrderView | Submission | None
Recorded = OrderView | ports.RecordedOrder


def is_decided(order: Recorded) -> bool:
    """Tell whether the order stage has decided: it records nothing before."""
    return order.state is not states.OrderState.PLACED


def is_ended(order: Recorded) -> bool:
    """Tell whether the order is in a terminal state."""
    return states.is_terminal(order.state)


def is_at_rest(order: Recorded) -> bool:
    """Tell whether the order has ended, or is open and waits for its customer."""
    if is_ended(order) or not isinstance(order, OrderView):
        return is_ended(order)
    is_open = order.state is states.OrderState.ACCEPTED and order.hold_until_us > 0
    return is_open and order.due_at_us is None


class Follower:
    """Follows orders for the calls that wait for them."""

    def __init__(
        self,
        loader: order_loader.OrderLoader,
        subscriptions: notifier.OrderNotifier,
        limits: options.Limits,
    ) -> None:
        self._loader = loader
        self._notifier, self._limits = subscriptions, limits
        self._waits = merchant_shares.MerchantShares(limits.waits_max)

    @property
    def retry_after_s(self) -> float:
        """How long a caller without a place should wait."""
        return self._limits.retry_after_s

    @property
    def is_closing(self) -> bool:
        """Tell whether the server closes: calls should not wait any more."""
        return self._notifier.is_closing

    async def try_get(self, ref: ids.OrderRef) -> Known:
        """Return the order as it is; None also while the database is away."""
        try:
            return await self._loader.get(ref)
        except errors.DatabaseAway:
            return None

    @contextmanager
    def listen(self, ref: ids.OrderRef, topics: Sequence[str]) -> Iterator["Listener | None"]:
        """Listen to messages about an order; none that comes while the context lasts is missed.

        Yields None if calls that wait for this merchant's orders use up its share.
        """
        with (
            self._waits.place(ref.merchant_id) as has_place,
            self._notifier.subscribe(ref, topics) as subscription,
        ):
            yield Listener(self, ref, subscription, self._limits.reread_s) if has_place else None

    async def follow(
        self, ref: ids.OrderRef, from_version: int
    ) -> AsyncGenerator[tuple[TimelineEntry, OrderView | None], None]:
        """Yield each step of an order after `from_version`, until it ends or the server closes.

        The last step of an order that has ended comes with the whole order.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        with self._notifier.subscribe(ref, topics.OUTCOMES) as subscription:
            while True:
                view = await self._loader.recorded(ref)
                has_ended = view is not None and is_ended(view)
                new = steps(view, from_version) if view else []
                for entry in new:
                    yield entry, view if has_ended and entry is new[-1] else None
                    from_version = entry.version
                if has_ended or self._notifier.is_closing:
                    return
                while not await subscription.wait(self._limits.reread_s):
                    if await self.has_moved(ref, view.version if view else 0):
                        break

    async def has_moved(self, ref: ids.OrderRef, version: int) -> bool:
        """Tell whether an order is recorded with a later version than this one.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        order = await self._loader.current(ref)
        return order is not None and order.version > version


class Listener:
    """Waits for one order, for one call."""

    def __init__(
        self,
        follower: Follower,
        ref: ids.OrderRef,
        subscription: notifier.Subscription,
        reread_s: float,
    ) -> None:
        self._follower, self._ref, self._subscription = follower, ref, subscription
        self._reread_s = reread_s

    async def until(
        self, is_there: Callable[[Recorded], bool], answer_by_s: float, *, look_at_once: bool
    ) -> Known:
        """Return the order once `is_there`, or as it is when time is up or the server closes.

        Args:
            is_there: the state to wait for.
            answer_by_s: the loop's time at which to give up.
            look_at_once: whether the order may be there already.
        """
        if not look_at_once and not self._follower.is_closing:
            await self._pause(answer_by_s, self._reread_s)
        while True:
            known = await self._follower.try_get(self._ref)
            if isinstance(known, OrderView) and is_there(known):
                return known
            version = known.version if isinstance(known, OrderView) else 0
            if not await self._news(version, answer_by_s):
                return known

    async def until_found(
        self, look: Callable[[], Awaitable[T | None]], answer_by_s: float
    ) -> T | None:
        """Return what `look` finds in the end, for an outcome that no topic may carry.

        It is called soon, then ever more seldom, and with every message.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            found = await _tried(look)
            if found is not None or self._follower.is_closing or self._left_s(answer_by_s) <= 0:
                return found
            await self._pause(answer_by_s, pause_s)
            pause_s = min(2 * pause_s, self._reread_s)

    async def _news(self, version: int, answer_by_s: float) -> bool:
        """Wait for a message or a later version; False when time is up or the server closes."""
        while not self._follower.is_closing and self._left_s(answer_by_s) > 0:
            if await self._pause(answer_by_s, self._reread_s):
                return True
            if await _tried(lambda: self._follower.has_moved(self._ref, version)):
                return True
        return False

    async def _pause(self, answer_by_s: float, pause_s: float) -> bool:
        """Wait for a message, the end of the pause or of the time; tell whether one came."""
        left_s = self._left_s(answer_by_s)
        return left_s > 0 and await self._subscription.wait(min(left_s, pause_s))

    @staticmethod
    def _left_s(answer_by_s: float) -> float:
        return answer_by_s - asyncio.get_running_loop().time()


async def _tried(look: Callable[[], Awaitable[T | None]]) -> T | None:
    """Return what is found; None also while the database is away."""
    try:
        return await look()
    except errors.DatabaseAway:
        return None


def steps(view: OrderView, from_version: int) -> list[TimelineEntry]:
    """Return the order's steps after `from_version`, oldest first.

    Other orders under its id are in the log, too, but they are not steps. A version of which only
    the charge is new has no step.
    """
    steps = (entry for entry in view.timeline if entry.is_step)
    return [entry for entry in steps if from_version < entry.version <= view.version]
