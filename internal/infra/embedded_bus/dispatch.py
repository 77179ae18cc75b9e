"""Assigns messages to consumers: one dispatcher per durable subscription. In memory, without I/O.

A dispatcher knows up to where it has read its topic (`read_to`). Messages committed right behind
that place are handed to it directly; when it lags, it asks for pages of the file until it has
caught up. So every message is admitted once and in order, whichever way it comes. Consumers share a
subscription by key, as in Pulsar's Key_Shared.
"""

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from internal.infra.embedded_bus import values


class Member:
    """One consumer's share of a dispatcher."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.out: dict[str, values.Stored] = {}
        """Delivered and not acknowledged, by message id."""
        self.assigned: deque[values.Stored] = deque()
        """Messages that wait for this consumer, because it holds their key. They count as read
        ahead: a consumer that stops taking without leaving stops the others in the end, as with
        Pulsar.
        """
        self.keys: Counter[str] = Counter()
        """How many messages of each key it holds; counted while there are several members."""


class Dispatcher:
    """One durable subscription; a message is in the file, ready, assigned, or out with a member."""

    def __init__(
        self, topic: str, cursor: values.Cursor, unread: values.Count, limits: values.Limits
    ) -> None:
        self.topic = topic
        self.topic_id = cursor.topic_id
        self.is_reading = False
        self._limits = limits
        self._subscription_id = cursor.subscription_id
        self._acknowledged_to = self._read_to = cursor.acknowledged_to
        self._holes = deque(cursor.holes)
        self._unread_messages, self._unread_orders = unread.messages, unread.orders
        self._unacked: dict[int, values.Stored] = {}
        self._unacked_orders = 0
        self._ready: deque[values.Stored] = deque()
        self._waiting_messages = self._waiting_bytes = 0
        self._members: list[Member] = []
        self._holders: dict[str, Member] = {}

    # Incoming messages

    def committed(self, before: int, after: int, messages: Sequence[values.Stored]) -> None:
        """Take in a transaction that assigned the numbers above `before` up to `after`.

        `messages` are those of this topic. If a page has brought them already, or will bring them
        later, they are only counted here: `loaded` subtracts them again.
        """
        if self._read_to == before and not self._holes and self._has_room(messages):
            self._read_to = after
            self._admit(messages)
        else:
            orders = sum(message.orders for message in messages)
            self.noticed(values.Count(len(messages), orders))

    def noticed(self, count: values.Count) -> None:
        """Count messages that are only in the file."""
        self._unread_messages += count.messages
        self._unread_orders += count.orders

    def wanted(self, head: int) -> values.PageRequest | None:
        """Return what to read from the file now; None with enough messages or no consumers."""
        lags = self._holes or self._read_to < head
        if not lags or self.is_reading or not self._members or self._is_half_full():
            return None
        messages_max = self._limits.ready_messages_max - self._waiting_messages
        return values.PageRequest(
            topic=self.topic,
            topic_id=self.topic_id,
            after=self._read_to,
            holes=tuple(itertools.islice(self._holes, messages_max)),
            messages_max=messages_max,
            bytes_max=self._limits.ready_bytes_max - self._waiting_bytes,
        )

    def loaded(self, request: values.PageRequest, page: values.Page) -> None:
        """Take in the page that was requested.

        Nothing else moved `read_to` meanwhile: a lagging dispatcher gets no messages directly.
        """
        self.is_reading = False
        if request.holes:
            while self._holes and self._holes[0] <= page.read_to:
                self._holes.popleft()
        else:
            self._read_to = page.read_to
        self._unread_messages -= len(page.messages)
        self._unread_orders -= sum(message.orders for message in page.messages)
        self._admit(page.messages)

    def _has_room(self, messages: Sequence[values.Stored]) -> bool:
        size_bytes = sum(message.size_bytes for message in messages)
        return (
            self._waiting_messages + len(messages) <= self._limits.ready_messages_max
            and self._waiting_bytes + size_bytes <= self._limits.ready_bytes_max
        )

    def _is_half_full(self) -> bool:
        return (
            self._waiting_messages * 2 >= self._limits.ready_messages_max
            or self._waiting_bytes * 2 >= self._limits.ready_bytes_max
        )

    def _admit(self, messages: Sequence[values.Stored]) -> None:
        if not messages:
            return
        self._ready.extend(messages)
        self._waits(messages, 1)
        for message in messages:
            self._unacked[message.seq] = message
            self._unacked_orders += message.orders
        for member in self._members:
            member.wake()

    def _waits(self, messages: Sequence[values.Stored], sign: int) -> None:
        self._waiting_messages += sign * len(messages)
        self._waiting_bytes += sign * sum(message.size_bytes for message in messages)

    # Outgoing messages

    def join(self, wake: Callable[[], None]) -> Member:
        """Add a consumer; `wake` is called when there may be messages for it."""
        member = Member(wake)
        self._members.append(member)
        if len(self._members) == 2:  # noqa: PLR2004 - a pair: from now on keys are shared out
            self._hold_keys(self._members[0])
        return member

    def leave(self, member: Member) -> None:
        """Remove a consumer; its messages go back to their places in the order, for the others."""
        self._members.remove(member)
        returned = [_redelivered(message) for message in member.out.values()]
        self._waits(returned, 1)
        self._unacked.update((message.seq, message) for message in returned)
        self._put_back([*returned, *member.assigned])
        self._holders = {key: it for key, it in self._holders.items() if it is not member}
        if len(self._members) == 1:
            self._stop_sharing(self._members[0])
        for other in self._members:
            other.wake()

    def take(self, member: Member, messages_max: int) -> list[values.Stored]:
        """Return a consumer's next messages, in the order of publishing; [] if it has to wait."""
        if len(self._members) == 1:
            count = min(messages_max, len(self._ready))
            taken = [self._ready.popleft() for _ in range(count)]
        else:
            taken = self._take_shared(member, messages_max)
        self._waits(taken, -1)
        for message in taken:
            member.out[message.delivery.message_id] = message
        return taken

    def acknowledge(self, member: Member, message_ids: Iterable[str]) -> int:
        """Drop a consumer's messages, ignoring others; return how many were dropped."""
        before = len(member.out)
        for message_id in message_ids:
            message = member.out.pop(message_id, None)
            if message is None:
                continue
            del self._unacked[message.seq]
            self._unacked_orders -= message.orders
            if message.seq > self._acknowledged_to:  # noqa: PLR1730 - max() costs three times as much
                self._acknowledged_to = message.seq
            if self._holders:
                self._let_go(member, message.delivery.key)
        return before - len(member.out)

    def _take_shared(self, member: Member, messages_max: int) -> list[values.Stored]:
        count = min(messages_max, len(member.assigned))
        taken = [member.assigned.popleft() for _ in range(count)]
        for_others = set()
        while self._ready and len(taken) < messages_max:
            message = self._ready.popleft()
            holder = self._holders.setdefault(message.delivery.key, member)
            holder.keys[message.delivery.key] += 1
            if holder is member:
                taken.append(message)
            else:
                holder.assigned.append(message)
                for_others.add(holder)
        for other in for_others:
            other.wake()
        return taken

    def _hold_keys(self, member: Member) -> None:
        member.keys = Counter(message.delivery.key for message in member.out.values())
        self._holders = dict.fromkeys(member.keys, member)

    def _let_go(self, member: Member, key: str) -> None:
        member.keys[key] -= 1
        if member.keys[key] == 0:
            del member.keys[key]
            del self._holders[key]

    def _stop_sharing(self, last: Member) -> None:
        self._put_back(last.assigned)
        last.assigned.clear()
        last.keys.clear()
        self._holders.clear()

    def _put_back(self, messages: Iterable[values.Stored]) -> None:
        self._ready = deque(sorted((*messages, *self._ready), key=lambda message: message.seq))

    # State

    @property
    def members(self) -> int:
        """How many consumers share it."""
        return len(self._members)

    def cursor(self) -> values.Cursor:
        """Return the position to be stored."""
        to = self._acknowledged_to
        loaded = itertools.takewhile(lambda seq: seq < to, heapq.merge(self._unacked, self._holes))
        return values.Cursor(self._subscription_id, self.topic_id, to, list(loaded))

    def backlog(self) -> values.Count:
        """Count the messages that are not acknowledged."""
        return values.Count(
            len(self._unacked) + max(self._unread_messages, 0),
            self._unacked_orders + max(self._unread_orders, 0),
        )

    def oldest_at_us(self) -> int | None:
        """Return when the oldest message in memory was published, None without any."""
        seq = next(iter(self._unacked), None)
        return None if seq is None else self._unacked[seq].published_at_us


def _redelivered(message: values.Stored) -> values.Stored:
    delivery = msgspec.structs.replace(
        message.delivery, redeliveries=message.delivery.redeliveries + 1
    )
    return msgspec.structs.replace(message, delivery=delivery)
