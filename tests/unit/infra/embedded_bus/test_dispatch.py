"""Messages from memory and file, in every order that events can take; sharing by key."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from internal.infra import bus
from internal.infra.embedded_bus import dispatch, values

TOPIC = "orders.placed"
LIMITS = values.Limits(ready_messages_max=4, ready_bytes_max=1_000)


def stored(seq: int, key: str = "", *, size_bytes: int = 1) -> values.Stored:
    delivery = bus.Delivery(TOPIC, str(seq), key, b"", {})
    return values.Stored(seq, delivery, orders=seq % 3, published_at_us=seq, size_bytes=size_bytes)


def dispatcher_at(
    acknowledged_to: int = 0, holes: tuple[int, ...] = (), unread: values.Count | None = None
) -> dispatch.Dispatcher:
    cursor = values.Cursor(1, 1, acknowledged_to, holes)
    return dispatch.Dispatcher(TOPIC, cursor, unread or values.Count(), LIMITS)


def ignore() -> None:
    """Ignore the call."""


def seqs(messages: list[values.Stored]) -> list[int]:
    return [message.seq for message in messages]


class HandOver(RuleBasedStateMachine):
    """A file that two processes append to, and a dispatcher that learns of it late and piecemeal.

    Our own transactions are told after they are in the file, one at a time and in order; what the
    other process appended is found out with the next of ours, or by looking. Pages are read at one
    moment and arrive at a later one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.file: dict[int, values.Stored] = {}
        self.end = self.head = 0
        self.told_of: list[tuple[int, int, list[values.Stored]]] = []
        self.page: tuple[values.PageRequest, values.Page] | None = None
        self.request: values.PageRequest | None = None
        self.taken: list[int] = []
        self.out: set[int] = set()
        self.start()

    def start(self, holes: tuple[int, ...] = (), acknowledged_to: int = 0) -> None:
        left = [m for m in self.file.values() if m.seq > acknowledged_to or m.seq in holes]
        unread = values.Count(len(left), sum(m.orders for m in left))
        self.dispatcher = dispatcher_at(acknowledged_to, holes, unread)
        self.member = self.dispatcher.join(ignore)
        self.head = self.end

    def append(self, ours: list[bool]) -> tuple[int, int, list[values.Stored]]:
        before = self.end
        added = []
        for is_our_topic in ours:
            self.end += 1
            if is_our_topic:
                message = stored(self.end, size_bytes=300 if self.end % 5 == 0 else 1)
                self.file[message.seq] = message
                added.append(message)
        return before, self.end, added

    def count_between(self, after: int, to: int) -> values.Count:
        found = [m for m in self.file.values() if after < m.seq <= to]
        return values.Count(len(found), sum(m.orders for m in found))

    @precondition(lambda self: not self.told_of)
    @rule(ours=st.lists(st.booleans(), max_size=6))
    def commit(self, ours: list[bool]) -> None:
        self.told_of.append(self.append(ours))

    @precondition(lambda self: self.told_of)
    @rule()
    def tell(self) -> None:
        before, after, added = self.told_of.pop()
        self.dispatcher.noticed(self.count_between(self.head, before))
        self.dispatcher.committed(before, after, added)
        self.head = after

    @rule(ours=st.lists(st.booleans(), min_size=1, max_size=3))
    def other_process_appends(self, ours: list[bool]) -> None:
        self.append(ours)

    @precondition(lambda self: not self.told_of)
    @rule()
    def look(self) -> None:
        self.dispatcher.noticed(self.count_between(self.head, self.end))
        self.head = self.end

    @precondition(lambda self: not self.request)
    @rule()
    def ask(self) -> None:
        self.request = self.dispatcher.wanted(self.head)
        self.dispatcher.is_reading = self.request is not None

    @precondition(lambda self: self.request and not self.page)
    @rule()
    def read(self) -> None:
        request = self.request
        assert request is not None
        wanted = request.holes or range(request.after + 1, self.end + 1)
        found = [self.file[seq] for seq in wanted if seq in self.file][: request.messages_max]
        is_full = len(found) == request.messages_max
        end = request.holes[-1] if request.holes else self.end
        self.page = request, values.Page(found, found[-1].seq if is_full else end)

    @precondition(lambda self: self.page)
    @rule()
    def page_arrives(self) -> None:
        assert self.page is not None
        self.dispatcher.loaded(*self.page)
        self.page = self.request = None

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        taken = seqs(self.dispatcher.take(self.member, count))
        self.taken += taken
        self.out.update(taken)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        done = data.draw(st.sets(st.sampled_from(sorted(self.out)), min_size=1))
        self.dispatcher.acknowledge(self.member, map(str, done))
        self.out -= done
        for seq in done:
            del self.file[seq]

    @precondition(lambda self: not self.told_of)
    @rule()
    def begin_anew(self) -> None:
        cursor = self.dispatcher.cursor()
        self.page = self.request = None
        self.taken = []
        self.out = set()
        self.start(tuple(cursor.holes), cursor.acknowledged_to)

    @invariant()
    def each_comes_once_and_in_order(self) -> None:
        assert self.taken == sorted(set(self.taken))

    @invariant()
    def nothing_is_passed_over(self) -> None:
        if self.taken:
            before = {seq for seq in self.file if seq <= self.taken[-1]}
            assert before == self.out

    @invariant()
    def the_count_is_right_when_all_is_told(self) -> None:
        if not self.told_of and self.head == self.end:
            assert self.dispatcher.backlog() == self.count_between(0, self.end)

    def teardown(self) -> None:
        if self.told_of:
            self.tell()
        self.look()
        for _ in range(len(self.file) + 3):
            if self.request and not self.page:
                self.read()
            if self.page:
                self.page_arrives()
            self.take(5)
            self.ask()
        assert self.out == self.file.keys()


TestHandOver = HandOver.TestCase
TestHandOver.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_messages_at_the_head_are_never_read_from_the_file() -> None:
    dispatcher = dispatcher_at()
    member = dispatcher.join(ignore)
    dispatcher.committed(0, 2, [stored(1), stored(2)])
    assert dispatcher.wanted(2) is None
    assert seqs(dispatcher.take(member, 10)) == [1, 2]


def test_a_deep_backlog_stays_in_the_file() -> None:
    dispatcher = dispatcher_at()
    for seq in range(1, 101):
        dispatcher.committed(seq - 1, seq, [stored(seq)])
    assert dispatcher.backlog().messages == 100
    assert len(dispatcher._ready) == LIMITS.ready_messages_max


def test_nothing_is_read_without_consumers() -> None:
    assert dispatcher_at().wanted(5) is None


def test_a_large_message_fits_when_it_is_alone() -> None:
    dispatcher = dispatcher_at()
    member = dispatcher.join(ignore)
    dispatcher.committed(0, 1, [stored(1, size_bytes=5_000)])
    request = dispatcher.wanted(1)
    assert request is not None
    dispatcher.loaded(request, values.Page([stored(1, size_bytes=5_000)], 1))
    assert seqs(dispatcher.take(member, 1)) == [1]


def test_the_cursor_keeps_unacknowledged_messages_as_holes() -> None:
    dispatcher = dispatcher_at()
    member = dispatcher.join(ignore)
    dispatcher.committed(0, 4, [stored(seq) for seq in (1, 2, 3, 4)])
    dispatcher.take(member, 4)
    dispatcher.acknowledge(member, ["2", "4", "nonsense", "2"])
    assert dispatcher.cursor() == values.Cursor(1, 1, 4, [1, 3])
    assert dispatcher.cursor().mark_delete == 0
    dispatcher.acknowledge(member, ["1", "3"])
    assert dispatcher.cursor().mark_delete == 4


def test_holes_come_before_new_messages() -> None:
    dispatcher = dispatcher_at(acknowledged_to=2, holes=(1,), unread=values.Count(1, 1))
    member = dispatcher.join(ignore)
    dispatcher.committed(2, 3, [stored(3)])
    assert not dispatcher.take(member, 9)
    request = dispatcher.wanted(3)
    assert request is not None
    assert request.holes == (1,)
    dispatcher.loaded(request, values.Page([stored(1)], 1))
    assert seqs(dispatcher.take(member, 9)) == [1]
    request = dispatcher.wanted(3)
    assert request is not None
    assert (request.holes, request.after) == ((), 2)
    assert dispatcher.backlog().messages == 2


def test_holes_that_vanished_from_the_file_are_given_up() -> None:
    dispatcher = dispatcher_at(acknowledged_to=9, holes=(3, 5), unread=values.Count(1, 1))
    dispatcher.join(ignore)
    request = dispatcher.wanted(9)
    assert request is not None
    dispatcher.loaded(request, values.Page([stored(5)], 5))
    assert dispatcher.wanted(9) is None
    assert dispatcher.backlog().messages == 1


def test_a_key_stays_with_its_holder() -> None:
    dispatcher = dispatcher_at()
    woken: deque[str] = deque()
    one, two = dispatcher.join(ignore), dispatcher.join(lambda: woken.append("two"))
    dispatcher.committed(0, 2, [stored(1, "a"), stored(2, "b")])
    assert seqs(dispatcher.take(one, 1)) == [1]
    assert seqs(dispatcher.take(two, 1)) == [2]
    woken.clear()
    dispatcher.committed(2, 4, [stored(3, "b"), stored(4, "a")])
    assert seqs(dispatcher.take(one, 5)) == [4]
    assert woken
    assert seqs(dispatcher.take(two, 5)) == [3]


def test_a_key_is_free_again_when_all_of_it_is_acknowledged() -> None:
    dispatcher = dispatcher_at()
    one, two = dispatcher.join(ignore), dispatcher.join(ignore)
    dispatcher.committed(0, 1, [stored(1, "a")])
    dispatcher.take(one, 1)
    dispatcher.acknowledge(one, ["1"])
    dispatcher.committed(1, 2, [stored(2, "a")])
    assert seqs(dispatcher.take(two, 5)) == [2]


def test_a_single_consumer_keeps_its_keys_when_another_joins() -> None:
    dispatcher = dispatcher_at()
    one = dispatcher.join(ignore)
    dispatcher.committed(0, 2, [stored(1, "a"), stored(2, "a")])
    dispatcher.take(one, 1)
    two = dispatcher.join(ignore)
    assert not dispatcher.take(two, 5)
    assert seqs(dispatcher.take(one, 5)) == [2]


def test_messages_of_a_leaving_consumer_go_back_to_their_places() -> None:
    dispatcher = dispatcher_at()
    one, two = dispatcher.join(ignore), dispatcher.join(ignore)
    dispatcher.committed(0, 4, [stored(seq, key) for seq, key in enumerate("abab", 1)])
    dispatcher.take(one, 1)
    assert seqs(dispatcher.take(two, 9)) == [2, 4]  # and 3 is assigned to the first
    dispatcher.leave(one)
    again = dispatcher.take(two, 9)
    assert seqs(again) == [1, 3]
    assert [message.delivery.redeliveries for message in again] == [1, 0]
    assert dispatcher.backlog().messages == 4
