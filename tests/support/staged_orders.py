"""The three handlers one after another, without bus, host or threads: facts in, facts out.

The true rules, stores and SQL over a database in memory, for tests of what stages write down.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from functions.finalization import FinalizationHandler
from functions.order_processing import OrderHandler
from functions.payment_processing import PaymentHandler
from internal.auth import actors as _actors
from internal.auth import audit_log as _operators
from internal.auth import store as _auth
from internal.flow import topics
from internal.infra import db
from internal.inventory import store as inventory_store
from internal.inventory.messages import StockKey, StockLevel
from internal.kernel import facts
from internal.kernel.clock import ManualClock
from internal.kernel.facts import Fact
from internal.payments.gateways.port import Gateway
from internal.pipeline import crash_counts as _attempts
from internal.pipeline import dead_letters as _dead_letters
from internal.pipeline import handler
from internal.pipeline import journal as _journal
from internal.views import order as order_view
from tests.support import gateways, mariadb, shop

TABLES_OF = (_actors, _attempts, _auth, _dead_letters, _journal, _operators)
"""Rooms whose tables nobody else here imports."""


@contextmanager
def database() -> Iterator[sa.Connection]:
    """Open an empty database in memory. Each statement commits by itself."""
    engine = sa.create_engine(
        "sqlite://", poolclass=sa.StaticPool, isolation_level="AUTOCOMMIT", hide_parameters=True
    )
    try:
        with engine.connect() as connection:
            db.METADATA.create_all(connection)
            yield connection
    finally:
        engine.dispose()


@contextmanager
def database_of(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a database on a server, cleared. Each statement commits by itself."""
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        mariadb.clear(connection)
        yield connection


def database_on(engine: sa.Engine | None) -> AbstractContextManager[sa.Connection]:
    """Open an empty database on a server, or in memory without one."""
    return database_of(engine) if engine else database()


@contextmanager
def transaction(connection: sa.Connection) -> Iterator[None]:
    """Commit together what is done meanwhile, or nothing of it."""
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


@contextmanager
def undone(connection: sa.Connection) -> Iterator[None]:
    """Take back in the end what is done meanwhile. On a server tables cannot be taken back."""
    connection.exec_driver_sql("BEGIN")
    try:
        yield
    finally:
        connection.exec_driver_sql("ROLLBACK")


class StagedOrders:
    """Carries facts from stage_handler to stage_handler."""

    def __init__(
        self,
        connection: sa.Connection,
        gateway: Gateway | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.connection = connection
        self.clock = clock or ManualClock(shop.NOW_US)
        self.handlers: dict[str, handler.StageHandler] = {
            topics.PLACED: OrderHandler(),
            topics.ACCEPTED: PaymentHandler(gateway or gateways.FaultyGateway(), 1.0),
            topics.PAID: FinalizationHandler(),
        }

    def carry(self, *batch: Fact) -> list[Fact]:
        """Carry facts until nothing moves any more; return every fact that came up on the way."""
        seen: list[Fact] = []
        moving = list(batch)
        while moving:
            moving = [fact for topic in self.handlers for fact in self._at(topic, moving)]
            seen += moving
        return seen

    def step(self, *batch: Fact) -> list[Fact]:
        """Carry facts through their next stage_handler only."""
        return [fact for topic in self.handlers for fact in self._at(topic, batch)]

    def record(self, topic: str, *work: handler.Work) -> list[handler.Outcome]:
        """Have a stage_handler record a batch."""
        with transaction(self.connection):
            return self.handlers[topic].record(self.connection, work, self.clock.now_us())

    def level(self, sku: str) -> StockLevel:
        """Return the stock of a product in the shop."""
        key = StockKey(shop.MERCHANT, shop.STORE, sku)
        return inventory_store.lock_levels(self.connection, [key])[key]

    def view(self, order_id: str) -> order_view.OrderView:
        """Return all of an order of the shop."""
        found = order_view.get(self.connection, shop.MERCHANT, order_id)
        assert found is not None
        return found

    def work(self, fact: Fact, result: Any = None, note: str = "") -> handler.Work:  # noqa: ANN401 - a stage_handler's own
        """Make a stage_handler's work of a fact and its tokens."""
        source = handler.Incoming(topics.TOPIC_OF[type(fact)], b"", None)
        private = shop.half_of(fact, note)
        return handler.Work(fact, source, result, raw=facts.encode(fact), private=private)

    def _at(self, topic: str, batch: Sequence[Fact]) -> list[Fact]:
        taken = self.handlers[topic].spec.topics
        here = [fact for fact in batch if topics.TOPIC_OF[type(fact)] in taken]
        done: list[Fact] = []
        work = [self.work(fact) for fact in here]
        while work:
            outcomes = self.record(topic, *work)
            done += [f for o in outcomes if isinstance(o, handler.Settled) for f in o.facts]
            waiting = [(w, o) for w, o in zip(work, outcomes, strict=True) if _waits(o)]
            work = [self.work(w.fact, self._perform(topic, o)) for w, o in waiting]
        return done

    def _perform(self, topic: str, outcome: handler.Outcome) -> Any:  # noqa: ANN401
        assert isinstance(outcome, handler.Waiting)
        return asyncio.run(_await(self.handlers[topic].perform(outcome.effect)))


def _waits(outcome: handler.Outcome) -> bool:
    return isinstance(outcome, handler.Waiting)


async def _await(awaitable: Any) -> Any:  # noqa: ANN401
    return await awaitable
