"""Commands are carried out once each, in any order, however often their messages come."""

from collections.abc import Iterator, Sequence

import msgspec
import pytest
import sqlalchemy as sa

from internal.checks import invariants
from internal.flow import topics
from internal.kernel.facts import Fact
from internal.kernel.states import OrderState
from internal.orders import messages, store
from internal.pipeline import handler
from internal.requests import rules
from internal.requests import store as requests_store
from internal.requests.messages import Request, RequestState
from internal.stages import cancellation, commands
from tests.support import shop, staged_orders


@pytest.fixture
def line(any_database: sa.Connection) -> Iterator[staged_orders.StagedOrders]:
    shop.open_for_business(any_database)
    yield staged_orders.StagedOrders(any_database)
    assert not invariants.check(any_database)


def recorded(line: staged_orders.StagedOrders, command: messages.Requested) -> Request | None:
    key = commands.key_of(command)
    return requests_store.find(line.connection, [key]).get(key)


def first_pass(line: staged_orders.StagedOrders, *facts: Fact) -> list[handler.Outcome]:
    return line.record(topics.PLACED, *map(line.work, facts))


def test_another_body_changes_nothing(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"))
    other = shop.cancel("o", reason="another reason")
    (fact,) = line.step(shop.cancel("o"), other, shop.cancel("o"))
    before = recorded(line, other)
    assert not line.step(other)
    assert recorded(line, other) == before
    assert line.step(shop.cancel("o")) == [fact]


def test_another_order_under_the_same_request_is_left_alone(
    line: staged_orders.StagedOrders,
) -> None:
    line.step(shop.placed("o"), shop.placed("p"))
    line.step(shop.cancel("o"))
    assert not line.step(shop.cancel("p"))
    assert line.view("p").state == "ACCEPTED"


def test_a_merchants_ids_are_its_own(line: staged_orders.StagedOrders) -> None:
    line.step(shop.placed("o"), shop.placed("o", merchant_id=shop.OTHER_MERCHANT))
    assert len(line.step(shop.cancel("o"))) == 1
    assert len(line.step(shop.cancel("o", merchant_id=shop.OTHER_MERCHANT))) == 1


def test_without_an_order_it_takes_a_second_pass(line: staged_orders.StagedOrders) -> None:
    command = shop.cancel("o")
    assert first_pass(line, command) == [handler.Waiting(None)]
    assert recorded(line, command).state is RequestState.RECEIVED  # type: ignore[union-attr]
    assert first_pass(line, command) == [handler.Settled(())]
    waiting = recorded(line, command)
    assert waiting is not None
    assert waiting.state is RequestState.WAITING
    assert first_pass(line, command) == [handler.Settled(())]
    assert recorded(line, command) == waiting


def test_an_order_that_comes_between_the_passes(line: staged_orders.StagedOrders) -> None:
    """The order stage of another process looks for the request, and finds it."""
    command = shop.cancel("o")
    first_pass(line, command)
    (fact,) = line.step(shop.placed("o"))
    assert isinstance(fact, messages.OrderCancelled)
    assert first_pass(line, command) == [handler.Settled(())]
    assert line.view("o").version == 2


def test_an_order_that_did_not_see_the_request_is_found_by_the_second_pass(
    line: staged_orders.StagedOrders,
) -> None:
    """The order was recorded at the same time, and looked before the request was committed."""
    command = shop.cancel("o")
    first_pass(line, command)
    hidden = requests_store.REQUESTS.update()
    line.connection.execute(hidden.values(state=RequestState.DONE))
    line.step(shop.placed("o"))
    line.connection.execute(hidden.values(state=RequestState.RECEIVED))
    (outcome,) = first_pass(line, command)
    assert isinstance(outcome, handler.Settled)
    assert [type(fact) for fact in outcome.facts] == [messages.OrderCancelled]
    assert line.view("o").version == 3
    assert line.level("tea").reserved_milli == 0


class Renamed(messages.Requested, frozen=True, tag=True):
    """A command of a day to come: it needs a recorded order, and changes it twice."""

    method = "RenameOrder"


def rename(
    connection: sa.Connection,
    asked: Sequence[tuple[messages.Asked, store.OrderSnapshot]],
    now_us: int,
) -> list[cancellation.Change]:
    """Carry it out as a toy: one version more, nothing else."""
    changes = []
    for (command, _), order in asked:
        table = store.ORDERS
        after = msgspec.structs.replace(order, version=order.version + 1)
        this = table.c.order_key == order.order_key
        connection.execute(table.update().where(this).values(version=after.version))
        fact = messages.OrderCancelled(
            order_key=order.order_key,
            merchant_id=order.merchant_id,
            order_id=order.order_id,
            store_id=shop.STORE,
            version=after.version,
            at_us=now_us,
            placed_at_us=now_us,
            request_id=command.request_id,
        )
        changes.append(cancellation.Change(after, fact))
    return changes


class TestNewCommand:
    """A new command is one row."""

    ROW = commands.Command(
        messages.LogStage.CANCEL, "ORDER_NOT_FOUND", cancellation.refusal_of, rename
    )

    @pytest.fixture
    def line(
        self, any_database: sa.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> staged_orders.StagedOrders:
        monkeypatch.setitem(commands.COMMANDS, Renamed, self.ROW)
        monkeypatch.setitem(topics.TOPIC_OF, Renamed, topics.ORDER_COMMANDS)
        shop.open_for_business(any_database)
        return staged_orders.StagedOrders(any_database)

    @staticmethod
    def renamed(order_id: str, request_id: str) -> Renamed:
        return Renamed(shop.MERCHANT, order_id, request_id, shop.NOW_US, rules.hash_of(order_id))

    def test_changes_an_order_once_per_request(self, line: staged_orders.StagedOrders) -> None:
        """Two that change one order never share a transaction."""
        line.step(shop.placed("o"))
        two = [self.renamed("o", name) for name in ("r-1", "r-2")]
        facts = line.step(*two)
        assert [getattr(fact, "version", 0) for fact in facts] == [3, 4]
        assert not line.step(*two)
        order = store.find(line.connection, [commands.ref_of(two[0])])
        assert [it.version for it in order.values()] == [4]

    def test_is_refused_without_its_order(self, line: staged_orders.StagedOrders) -> None:
        command = self.renamed("nowhere", "r-1")
        assert not line.step(command)
        found = recorded(line, command)
        assert found is not None
        assert (found.state, found.status) == (RequestState.DONE, "ORDER_NOT_FOUND")
        assert found.answer == ""
        (fact,) = line.step(shop.placed("nowhere"))
        assert isinstance(fact, messages.OrderAccepted)
        assert fact.version == store.SECOND_VERSION
        assert line.view("nowhere").state is OrderState.ACCEPTED
