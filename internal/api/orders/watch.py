"""Waits for an order to reach a state, and follows its steps one by one."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager

from internal.api import options
from internal.api.orders import notifier, order_loader
from internal.flow import topics
from internal.kernel import errors, ids, states
from internal.orders.messages import OrderPlaced
from internal.views.order import OrderView, TimelineEntry

DECIDED = (topics.ACCEPTED, topics.REJECTED)
ENDED = (topics.FINALIZED, topics.REJECTED)

FIRST_PAUSE_S = 0.02
"""For outcomes that no topic carries, such as a refused cancel request."""

Known = OrderView | OrderPlaced | None


def is_decided(view: OrderView) -> bool:
    """Tell whether the order stage has decided: it records nothing before."""
    return view.state is not states.OrderState.PLACED


def is_ended(view: OrderView) -> bool:
    """Tell whether the order is in a terminal state."""
    return states.is_terminal(view.state)


class Follower:
    """Follows orders for the calls that wait for them."""

    def __init__(
        self,
        loader: order_loader.OrderLoader,
        subscriptions: notifier.OrderNotifier,
        limits: options.Limits,
    ) -> None:
        self._loader, self._notifier, self._limits = loader, subscriptions, limits

    @property
    def is_closing(self) -> bool:
        """Tell whether the server closes: calls should not wait any more."""
        return self._notifier.is_closing

    async def get(self, ref: ids.OrderRef) -> Known:
        """Return the order as it is; None if this merchant has no such order.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        return await self._loader.get(ref)

    async def try_get(self, ref: ids.OrderRef) -> Known:
        """Return the order as it is; None also while the database is away."""
        try:
            return await self._loader.get(ref)
        except errors.DatabaseAway:
            return None

    @contextmanager
    def listen(self, ref: ids.OrderRef, topics: Sequence[str]) -> Iterator["Listener"]:
        """Listen to messages about an order; none that comes while the context lasts is missed."""
        with self._notifier.subscribe(ref, topics) as subscription:
            yield Listener(self, ref, subscription, self._limits.reread_s)

    async def follow(
        self, ref: ids.OrderRef, from_version: int
    ) -> AsyncGenerator[tuple[TimelineEntry, OrderView], None]:
        """Yield each step of an order after `from_version`, until it ends or the server closes.

        Raises:
            DatabaseAway: the order cannot be read now.
        """
        with self._notifier.subscribe(ref, topics.OUTCOMES) as subscription:
            while True:
                view = await self._loader.recorded(ref)
                if view:
                    for entry in steps(view, from_version):
                        yield entry, view
                        from_version = entry.version
                if (view and is_ended(view)) or self._notifier.is_closing:
                    return
                await subscription.wait(self._limits.reread_s)


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
        self, is_there: Callable[[OrderView], bool], answer_by_s: float, *, look_at_once: bool
    ) -> Known:
        """Return the order once `is_there`, or as it is when time is up or the server closes.

        Args:
            is_there: the state to wait for.
            answer_by_s: the loop's time at which to give up.
            look_at_once: whether the order may be there already.
        """
        if not look_at_once:
            await self._pause(answer_by_s, self._reread_s)
        return await self._poll(is_there, answer_by_s, self._reread_s)

    async def until_logged(
        self, is_there: Callable[[OrderView], bool], answer_by_s: float
    ) -> Known:
        """Do the same for an outcome that no topic may carry: look soon, then ever more seldom."""
        return await self._poll(is_there, answer_by_s, FIRST_PAUSE_S)

    async def _poll(
        self, is_there: Callable[[OrderView], bool], answer_by_s: float, pause_s: float
    ) -> Known:
        while True:
            known = await self._follower.try_get(self._ref)
            if isinstance(known, OrderView) and is_there(known):
                return known
            if self._follower.is_closing or not await self._pause(answer_by_s, pause_s):
                return known
            pause_s = min(2 * pause_s, self._reread_s)

    async def _pause(self, answer_by_s: float, pause_s: float) -> bool:
        """Wait for a message or the end of the pause; return False at once when time is up."""
        left_s = answer_by_s - asyncio.get_running_loop().time()
        if left_s > 0:
            await self._subscription.wait(min(left_s, pause_s))
        return left_s > 0


def steps(view: OrderView, from_version: int) -> list[TimelineEntry]:
    """Return the order's steps after `from_version`: one entry per version, oldest first.

    Refused requests are in the log, too, but they are not steps.
    """
    found: dict[int, TimelineEntry] = {}
    for entry in view.timeline:
        if entry.version > from_version:
            found.setdefault(entry.version, entry)
    return [found[version] for version in sorted(found)]
