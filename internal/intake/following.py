"""Waits for an order to get somewhere, and tells its story as it unfolds."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from internal.intake import hub, lookup, options, ports
from internal.kernel import errors, states
from internal.orders.messages import OrderPlaced
from internal.pipeline import flow
from internal.reports.order_view import OrderView, TimelineEntry

DECIDED = (flow.ACCEPTED, flow.REJECTED)
ENDED = (flow.FINALIZED, flow.REJECTED)

Known = OrderView | OrderPlaced | None


def is_decided(view: OrderView) -> bool:
    """Tell whether the order stage has spoken: it records nothing before."""
    return view.state is not states.OrderState.PLACED


def is_ended(view: OrderView) -> bool:
    """Tell whether the order is in a terminal state."""
    return states.is_terminal(view.state)


class Follower:
    """Follows orders for calls that wait."""

    def __init__(self, looks: lookup.Lookup, bells: hub.Hub, limits: options.Limits) -> None:
        self._lookup, self._hub, self._limits = looks, bells, limits

    @property
    def is_closing(self) -> bool:
        """Tell whether the door closes: nobody should wait any more."""
        return self._hub.is_closing

    async def known(self, name: ports.OrderName) -> Known:
        """Return the order as it is; None if this merchant has none of that name.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        return await self._lookup.get(name)

    async def look(self, name: ports.OrderName) -> Known:
        """Return the order as it is; None also while the database is away."""
        try:
            return await self._lookup.get(name)
        except errors.DatabaseAway:
            return None

    async def until(
        self,
        name: ports.OrderName,
        topics: Sequence[str],
        is_there: Callable[[OrderView], bool],
        answer_by_s: float,
        first_look_s: float | None = None,
    ) -> Known:
        """Return the order when `is_there`, or as it is when time is up or the door closes.

        Args:
            name: whose order, which order.
            topics: where to listen for it.
            is_there: what to wait for.
            answer_by_s: the loop's time at which to give up.
            first_look_s: look again after this long, then after twice as long, and so on; for what
                is not told on any topic.
        """
        pause_s = first_look_s or self._limits.reread_s
        with self._hub.bell(name, topics) as bell:
            while True:
                known = await self.look(name)
                left_s = answer_by_s - asyncio.get_running_loop().time()
                if isinstance(known, OrderView) and is_there(known):
                    return known
                if left_s <= 0 or self._hub.is_closing:
                    return known
                await bell.wait(min(left_s, pause_s))
                pause_s = min(2 * pause_s, self._limits.reread_s)

    async def story(
        self, name: ports.OrderName, from_version: int
    ) -> AsyncGenerator[tuple[TimelineEntry, OrderView], None]:
        """Yield each step of an order beyond `from_version` until it has ended or the door closes.

        Raises:
            DatabaseAway: it cannot be read now.
        """
        with self._hub.bell(name, flow.OUTCOMES) as bell:
            while True:
                view = await self._lookup.recorded(name)
                if view:
                    for entry in steps(view, from_version):
                        yield entry, view
                        from_version = entry.version
                if (view and is_ended(view)) or self._hub.is_closing:
                    return
                await bell.wait(self._limits.reread_s)


def steps(view: OrderView, from_version: int) -> list[TimelineEntry]:
    """Return what took the order beyond `from_version`: one entry per version, oldest first.

    Refused requests are in the log too; they take an order nowhere.
    """
    found: dict[int, TimelineEntry] = {}
    for entry in view.timeline:
        if entry.version > from_version:
            found.setdefault(entry.version, entry)
    return [found[version] for version in sorted(found)]
