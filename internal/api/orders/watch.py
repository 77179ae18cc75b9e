"""Waits for an order to get somewhere, and tells its story as it unfolds."""

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

FIRST_LOOK_S = 0.02
"""For what is told on no topic, such as a refused cancellation."""

Known = OrderView | OrderPlaced | None


def is_decided(view: OrderView) -> bool:
    """Tell whether the order stage has spoken: it records nothing before."""
    return view.state is not states.OrderState.PLACED


def is_ended(view: OrderView) -> bool:
    """Tell whether the order is in a terminal state."""
    return states.is_terminal(view.state)


class Follower:
    """Follows orders for calls that wait."""

    def __init__(
        self, looks: order_loader.OrderLoader, bells: notifier.OrderNotifier, limits: options.Limits
    ) -> None:
        self._lookup, self._hub, self._limits = looks, bells, limits

    @property
    def is_closing(self) -> bool:
        """Tell whether the door closes: nobody should wait any more."""
        return self._hub.is_closing

    async def known(self, name: ids.OrderRef) -> Known:
        """Return the order as it is; None if this merchant has none of that name.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        return await self._lookup.get(name)

    async def look(self, name: ids.OrderRef) -> Known:
        """Return the order as it is; None also while the database is away."""
        try:
            return await self._lookup.get(name)
        except errors.DatabaseAway:
            return None

    @contextmanager
    def listening(self, name: ids.OrderRef, topics: Sequence[str]) -> Iterator["Listener"]:
        """Hear of an order from now on: what is told while the context lasts is not missed."""
        with self._hub.bell(name, topics) as bell:
            yield Listener(self, name, bell, self._limits.reread_s)

    async def story(
        self, name: ids.OrderRef, from_version: int
    ) -> AsyncGenerator[tuple[TimelineEntry, OrderView], None]:
        """Yield each step of an order beyond `from_version` until it has ended or the door closes.

        Raises:
            DatabaseAway: it cannot be read now.
        """
        with self._hub.bell(name, topics.OUTCOMES) as bell:
            while True:
                view = await self._lookup.recorded(name)
                if view:
                    for entry in steps(view, from_version):
                        yield entry, view
                        from_version = entry.version
                if (view and is_ended(view)) or self._hub.is_closing:
                    return
                await bell.wait(self._limits.reread_s)


class Listener:
    """Waits for one order, for one call."""

    def __init__(
        self,
        follower: Follower,
        name: ids.OrderRef,
        bell: notifier.Subscription,
        reread_s: float,
    ) -> None:
        self._follower, self._name, self._bell = follower, name, bell
        self._reread_s = reread_s

    async def until(
        self, is_there: Callable[[OrderView], bool], answer_by_s: float, *, look_at_once: bool
    ) -> Known:
        """Return the order when `is_there`, or as it is when time is up or the door closes.

        Args:
            is_there: what to wait for.
            answer_by_s: the loop's time at which to give up.
            look_at_once: whether it may be there already.
        """
        if not look_at_once:
            await self._rest(answer_by_s, self._reread_s)
        return await self._watch(is_there, answer_by_s, self._reread_s)

    async def until_logged(
        self, is_there: Callable[[OrderView], bool], answer_by_s: float
    ) -> Known:
        """Do the same for what may be told on no topic: look soon, then less and less often."""
        return await self._watch(is_there, answer_by_s, FIRST_LOOK_S)

    async def _watch(
        self, is_there: Callable[[OrderView], bool], answer_by_s: float, pause_s: float
    ) -> Known:
        while True:
            known = await self._follower.look(self._name)
            if isinstance(known, OrderView) and is_there(known):
                return known
            if self._follower.is_closing or not await self._rest(answer_by_s, pause_s):
                return known
            pause_s = min(2 * pause_s, self._reread_s)

    async def _rest(self, answer_by_s: float, pause_s: float) -> bool:
        """Wait for the bell or the pause to end; return False at once when time is up."""
        left_s = answer_by_s - asyncio.get_running_loop().time()
        if left_s > 0:
            await self._bell.wait(min(left_s, pause_s))
        return left_s > 0


def steps(view: OrderView, from_version: int) -> list[TimelineEntry]:
    """Return what took the order beyond `from_version`: one entry per version, oldest first.

    Refused requests are in the log too; they take an order nowhere.
    """
    found: dict[int, TimelineEntry] = {}
    for entry in view.timeline:
        if entry.version > from_version:
            found.setdefault(entry.version, entry)
    return [found[version] for version in sorted(found)]
