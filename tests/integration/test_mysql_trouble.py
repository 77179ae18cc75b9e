"""Faults of a MySQL server and of the network, and how Souk handles them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from internal.infra import bulk, failpoints
from internal.infra.mysql import database as mysql
from internal.infra.settings import MysqlSettings
from internal.kernel import errors
from tests.contract.database_contract import (
    ENDLESS,
    NAMES,
    SCRATCH,
    THINGS,
    amounts,
    everything,
    put,
    thing,
)
from tests.support import wire as wires

ROUND_TRIPS = sa.text("SHOW SESSION STATUS LIKE 'Questions'")


@pytest.fixture
def options(mysql_options: MysqlSettings) -> MysqlSettings:
    return mysql_options.model_copy(update={"statement_timeout_s": 5.0, "connect_timeout_s": 2.0})


@pytest.fixture
async def database(options: MysqlSettings) -> AsyncIterator[mysql.MysqlDatabase]:
    database = mysql.MysqlDatabase(options)
    await database.write(SCRATCH.create_all)
    yield database
    await database.close()


@pytest.fixture
async def wire(options: MysqlSettings) -> AsyncIterator[wires.Wire]:
    async with wires.stretched(options.host, options.port) as wire:
        yield wire


@pytest.fixture
async def far(
    wire: wires.Wire, options: MysqlSettings, database: mysql.MysqlDatabase
) -> AsyncIterator[mysql.MysqlDatabase]:
    """The same database at the end of a wire."""
    del database
    far = with_options(options, port=wire.port)
    yield far
    await far.close()


@pytest.fixture
async def hasty(
    wire: wires.Wire, options: MysqlSettings, database: mysql.MysqlDatabase
) -> AsyncIterator[mysql.MysqlDatabase]:
    """The same, with short timeouts."""
    del database
    update = {"port": wire.port, "statement_timeout_s": 0.3, "connect_timeout_s": 0.3}
    hasty = with_options(options, **update)
    yield hasty
    await hasty.close()


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def with_options(options: MysqlSettings, **changed: Any) -> mysql.MysqlDatabase:  # noqa: ANN401
    return mysql.MysqlDatabase(options.model_copy(update=changed))


def connection_id(connection: sa.Connection) -> int:
    number: int = connection.execute(sa.func.connection_id()).scalar_one()
    return number


def claim(connection: sa.Connection) -> None:
    """Do something once, as stages do."""
    query = "SELECT t.amount FROM {w} CROSS JOIN contract_things t ON t.owner = {w.owner}"
    if not bulk.select(connection, bulk.shape_of(THINGS, "owner"), query, [("o",)]):
        put(connection, thing(amount=1))


async def test_a_transaction_costs_its_own_statements_and_a_commit(
    database: mysql.MysqlDatabase,
) -> None:
    def count(connection: sa.Connection) -> int:
        return int(connection.execute(ROUND_TRIPS).one()[1])

    async def asked() -> int:
        return await database.read(count, is_quick=True)

    await asked()
    assert await asked() - await asked() == -1
    switched_off_and_on = 2
    before = await asked()
    await database.write(lambda c: put(c, thing()))
    assert await asked() - before == switched_off_and_on + 3
    await database.write(count)
    before = await database.write(count)
    await database.write(lambda c: put(c, thing(number=2)))
    assert await database.write(count) - before == 4


@pytest.mark.parametrize("kills_at", [0, 1])
async def test_deferred_statements_are_lost_with_their_connection(
    database: mysql.MysqlDatabase, kills_at: int
) -> None:
    runs: list[int] = []

    def work(connection: sa.Connection) -> None:
        runs.append(connection_id(connection))
        for number in range(2):
            bulk.insert_deferred(connection, THINGS, NAMES, [thing(number=10 * len(runs) + number)])
            if len(runs) == 1 and number == kills_at:
                connection.exec_driver_sql(f"KILL {runs[0]}")

    await database.write(work)
    assert len(set(runs)) == 2
    assert await database.read(amounts) == {20: 0, 21: 0}


async def test_a_lost_connection_is_another_try(database: mysql.MysqlDatabase) -> None:
    runs: list[int] = []

    def work(connection: sa.Connection) -> None:
        put(connection, thing(number=len(runs)))
        runs.append(connection_id(connection))
        if len(runs) == 1:
            connection.exec_driver_sql(f"KILL {runs[0]}")
        everything(connection)

    await database.write(work)
    assert len(set(runs)) == 2
    assert await database.read(everything) == [thing(number=1)]


async def test_a_connection_that_idled_away_is_not_used(
    options: MysqlSettings, database: mysql.MysqlDatabase
) -> None:
    runs: list[int] = []
    idle = await database.write(connection_id)
    another = mysql.MysqlDatabase(options)
    await another.write(lambda c: c.exec_driver_sql(f"KILL {idle}"))
    await asyncio.sleep(0.05)
    await database.write(lambda c: runs.append(connection_id(c)))
    assert len(runs) == 1
    await another.close()


async def test_a_deadlock_costs_one_of_them_another_try(database: mysql.MysqlDatabase) -> None:
    await database.write(lambda c: put(c, thing(number=1), thing(number=2)))
    both = asyncio.Barrier(2)
    tries = 0

    def work(first: int, second: int, connection: sa.Connection) -> None:
        nonlocal tries
        tries += 1
        _add_one(connection, first)
        if tries <= 2:
            own: Any = connection.connection.dbapi_connection
            own.run_async(lambda _: both.wait())
        _add_one(connection, second)

    async with asyncio.timeout(20):
        await asyncio.gather(
            database.write(lambda c: work(1, 2, c)), database.write(lambda c: work(2, 1, c))
        )
    assert tries == 3
    assert await database.read(amounts) == {1: 2, 2: 2}


def _add_one(connection: sa.Connection, number: int) -> None:
    this = THINGS.update().where(THINGS.c.thing_no == number)
    connection.execute(this.values(amount=THINGS.c.amount + 1))


async def test_a_row_that_stays_locked_is_an_outage(
    options: MysqlSettings, database: mysql.MysqlDatabase
) -> None:
    await database.write(lambda c: put(c, thing()))
    held, let_go = asyncio.Event(), asyncio.Event()

    def hold(connection: sa.Connection) -> None:
        connection.execute(THINGS.update().values(amount=5))
        held.set()
        own: Any = connection.connection.dbapi_connection
        own.run_async(lambda _: let_go.wait())

    def want(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
        connection.execute(THINGS.update().values(amount=6))

    another = mysql.MysqlDatabase(options)
    holding = asyncio.create_task(another.write(hold))
    await held.wait()
    with pytest.raises(errors.DatabaseAway, match="1205"):
        await database.write(want)
    let_go.set()
    await holding
    await database.write(want)
    assert await database.read(amounts) == {1: 6}
    await another.close()


async def test_a_cancelled_transaction_leaves_nothing(database: mysql.MysqlDatabase) -> None:
    """Not even a connection with an answer that another transaction would read."""

    def work(connection: sa.Connection) -> None:
        put(connection, thing())
        connection.exec_driver_sql("SELECT SLEEP(0.4)")

    for method in (database.write, database.read):
        slow = work if method == database.write else _sleep
        task = asyncio.create_task(method(slow))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await database.read(everything) == []
        assert await database.write(lambda c: put(c, thing(number=2))) == 1
        await database.write(lambda c: c.execute(THINGS.delete()))


def _sleep(connection: sa.Connection) -> None:
    connection.exec_driver_sql("SELECT SLEEP(0.4)")


async def test_a_cancelled_connect_frees_its_place(
    wire: wires.Wire, options: MysqlSettings, database: mysql.MysqlDatabase
) -> None:
    del database
    far = with_options(options, port=wire.port, connections_max=1)
    wire.is_silent = True
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await far.read(everything)
    wire.is_silent = False
    assert await far.read(everything) == []
    await far.close()


@pytest.mark.parametrize("is_quick", [True, False])
async def test_a_read_that_raises_costs_no_connection(
    database: mysql.MysqlDatabase, *, is_quick: bool
) -> None:
    before = await database.read(connection_id)

    def work(connection: sa.Connection) -> None:
        everything(connection)
        raise KeyError

    with pytest.raises(KeyError):
        await database.read(work, is_quick=is_quick)
    await database.write(lambda c: put(c, thing()))
    assert await database.read(everything) == [thing()]
    assert await database.read(connection_id) == before


def limit(connection: sa.Connection) -> float:
    """Return how long a statement of this session may run, in seconds; 0 for any time."""
    name, unit = "max_statement_time", 1.0
    if "MariaDB" not in str(connection.exec_driver_sql("SELECT VERSION()").scalar()):
        name, unit = "max_execution_time", 1_000.0
    return float(connection.exec_driver_sql(f"SELECT @@SESSION.{name}").scalar() or 0) / unit


async def test_the_server_gives_up_a_read_before_the_client_does(options: MysqlSettings) -> None:
    database = with_options(options, statement_timeout_s=20.0, connections_max=1)
    for is_quick in (True, False):
        assert await database.read(limit, is_quick=is_quick) == 18.0
        assert await database.read(limit, is_quick=is_quick, limit_s=0.25) == 0.25
        assert await database.read(limit, is_quick=is_quick, limit_s=60) == 18.0
        assert await database.write(limit) == 0
    await database.close()


async def test_a_read_that_was_given_up_does_not_go_on_in_the_server(
    database: mysql.MysqlDatabase,
) -> None:
    many = [thing(number=number, amount=1) for number in range(400)]
    await database.write(lambda c: put(c, *many))
    with pytest.raises(errors.TooMuchAtOnce, match=r"1969|3024"):
        await database.read(lambda c: c.exec_driver_sql(ENDLESS), limit_s=0.1)
    running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%%a.amount +%%'"
    me = 1
    assert await database.read(lambda c: c.exec_driver_sql(running).scalar()) == me


async def test_long_reads_leave_connections_to_quick_ones(
    options: MysqlSettings, database: mysql.MysqlDatabase
) -> None:
    """Also when there are many of them, and none gets on: keys, orders and writes go through."""
    del database
    small = with_options(options, connections_max=4)
    held, let_go = asyncio.Semaphore(0), asyncio.Event()

    def hold(connection: sa.Connection) -> None:
        everything(connection)
        held.release()
        own: Any = connection.connection.dbapi_connection
        own.run_async(lambda _: let_go.wait())

    long = [asyncio.create_task(small.read(hold)) for _ in range(10)]
    async with asyncio.timeout(60):
        for _ in range(2):
            await held.acquire()
        assert await small.read(amounts, is_quick=True) == {}
        await small.write(lambda c: put(c, thing()))
    let_go.set()
    await asyncio.gather(*long)
    await small.close()


async def test_an_answer_that_cannot_be_read_is_an_outage(options: MysqlSettings) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    database = with_options(options, port=server.sockets[0].getsockname()[1])
    with pytest.raises(errors.DatabaseAway):
        await database.read(everything)
    await database.close()
    server.close()


async def test_no_more_connections_than_allowed(options: MysqlSettings) -> None:
    database = with_options(options, connections_max=2)
    seen: set[int] = set()

    def work(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT SLEEP(0.01)")
        seen.add(connection_id(connection))

    await asyncio.gather(*(database.write(work) for _ in range(12)))
    assert len(seen) == 2
    await database.close()


async def test_closing_waits_for_running_transactions(database: mysql.MysqlDatabase) -> None:
    def work(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT SLEEP(0.2)")
        put(connection, thing())

    writing = asyncio.create_task(database.write(work))
    await asyncio.sleep(0.05)
    await database.close()
    await writing


async def test_a_silent_wire_is_cut(wire: wires.Wire, hasty: mysql.MysqlDatabase) -> None:
    """Half-open: neither side closes, and no answer ever comes."""
    await hasty.write(lambda c: put(c, thing(number=1)))
    wire.is_silent = True
    with pytest.raises(errors.DatabaseAway, match=r"no (answer|greeting)"):
        await hasty.write(lambda c: put(c, thing(number=2)))
    wire.is_silent = False
    await hasty.write(lambda c: put(c, thing(number=3)))
    assert set(await hasty.read(amounts)) == {1, 3}


async def test_a_statement_that_takes_too_long_is_cut(hasty: mysql.MysqlDatabase) -> None:
    """A transaction may take longer than each of its statements."""

    def patient(connection: sa.Connection) -> None:
        for _ in range(4):
            connection.exec_driver_sql("SELECT SLEEP(0.1)")

    await hasty.write(patient)
    with pytest.raises(errors.DatabaseAway, match="no answer"):
        await hasty.write(_sleep)


async def test_a_cut_wire_is_another_try(wire: wires.Wire, far: mysql.MysqlDatabase) -> None:
    runs = 0

    def work(connection: sa.Connection) -> None:
        nonlocal runs
        runs += 1
        put(connection, thing(number=runs))
        if runs == 1:
            wire.cut()
        everything(connection)

    await far.write(work)
    assert runs == 2
    assert wire.connections == 2
    assert await far.read(everything) == [thing(number=2)]


async def test_a_cut_wire_loses_deferred_statements(
    wire: wires.Wire, far: mysql.MysqlDatabase
) -> None:
    runs = 0

    def work(connection: sa.Connection) -> None:
        nonlocal runs
        runs += 1
        bulk.insert_deferred(connection, THINGS, NAMES, [thing(number=runs)])
        bulk.insert_deferred(connection, THINGS, NAMES, [thing(number=10 + runs)])
        if runs == 1:
            wire.cut()

    await far.write(work)
    assert runs == 2
    assert await far.read(amounts) == {2: 0, 12: 0}


async def test_a_silent_wire_loses_deferred_statements(
    wire: wires.Wire, hasty: mysql.MysqlDatabase
) -> None:
    def work(connection: sa.Connection) -> None:
        bulk.insert_deferred(connection, THINGS, NAMES, [thing(number=1)])

    await hasty.write(everything)
    wire.is_silent = True
    with pytest.raises(errors.DatabaseAway, match=r"no (answer|greeting)"):
        await hasty.write(work)
    wire.is_silent = False
    await hasty.write(work)
    assert set(await hasty.read(amounts)) == {1}


async def test_a_commit_whose_answer_is_lost_is_done_once(
    wire: wires.Wire, far: mysql.MysqlDatabase
) -> None:
    await far.read(everything)
    wire.swallow_after = b"\x03COMMIT"
    await far.write(claim)
    assert wire.swallow_after is None
    assert wire.connections == 2
    assert await far.read(everything) == [thing(amount=1)]


@pytest.mark.usefixtures("disarmed")
@pytest.mark.parametrize("place", ["db.before_commit", "db.after_commit"])
async def test_a_commit_that_fails_is_done_once(database: mysql.MysqlDatabase, place: str) -> None:
    failpoints.arm(failpoints.parse(f"{place}=raise@1-2"))
    await database.write(claim)
    assert await database.read(everything) == [thing(amount=1)]
