"""Plain Pulsar Functions on the broker and the database of an engine, for comparison with Souk.

The functions come from a file that the caller names. They get a namespace and a database of their
own, which are deleted afterwards.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import sqlalchemy as sa

from internal.infra import backends, bus, db, settings
from internal.infra.pulsar_bus import admin
from internal.infra.pulsar_bus import bus as pulsar_bus
from internal.kernel import errors, ids
from internal.lab.bench.full import function_control
from internal.lab.bench.full import lab as full_lab
from internal.lab.workload import progress

CLASSES = ("PlainOrder", "PlainPayment", "PlainFinal")
"""In the order in which an order passes them."""
TABLES = (
    "CREATE TABLE orders (order_id varchar(40) PRIMARY KEY, merchant_id varchar(40),"
    " status varchar(16), total decimal(19,4), created_at datetime(6),"
    " KEY (merchant_id, created_at))",
    "CREATE TABLE order_items (order_id varchar(40), line int, sku varchar(40), quantity int,"
    " unit_price decimal(19,4), PRIMARY KEY (order_id, line))",
    "CREATE TABLE logs (order_id varchar(40), stage varchar(16), message varchar(200),"
    " at datetime(6), PRIMARY KEY (order_id, stage))",
    "CREATE TABLE transactions (order_id varchar(40), kind varchar(16), amount decimal(19,4),"
    " status varchar(16), at datetime(6), PRIMARY KEY (order_id, kind))",
    "CREATE TABLE ledger (order_id varchar(40), account varchar(16), side char(1),"
    " amount decimal(19,4), PRIMARY KEY (order_id, account))",
)
ROWS = {"orders": 1, "order_items": 3, "logs": 3, "transactions": 1, "ledger": 2}
"""Rows of one order, by table."""
ITEMS = (("sku-1", 1, "9.99"), ("sku-2", 2, "5.00"), ("sku-3", 1, "1.00"))
TOTAL = "20.99"
_RECORDED = "SELECT COUNT(*) FROM orders"
_DONE = "SELECT COUNT(*) FROM orders WHERE status = 'DONE'"
LOOK_EVERY_S = 0.1
STALLED_S = 120.0
PUBLISHED_MAX = 1_000
ONE_PARTITION = settings.TopicSettings(partitions=1)
"""Its messages have no keys."""
DELETE_TRIES, DELETE_PAUSE_S = 10, 0.5


class Plain(NamedTuple):
    """The functions, deployed."""

    database: db.Database
    broker: bus.Bus
    control: function_control.FunctionControl
    functions: Sequence[str]
    """Their names, which are also the names of the topics that they read."""


@contextlib.asynccontextmanager
async def deployed(options: settings.Settings, file: Path) -> AsyncIterator[Plain]:
    """Deploy the functions in this file beside Souk's; delete everything afterwards.

    Raises:
        BusAway: the broker cannot be reached.
        DatabaseAway: the database cannot be reached.
        Temporary: a function does not start.
    """
    options, run = _separate(options), ids.random_token(4)
    functions = [f"{name}-{run}" for name in CLASSES]
    async with contextlib.AsyncExitStack() as stack:
        database = await _made_database(options, stack)
        api = await stack.enter_async_context(admin.PulsarAdmin(options.pulsar))
        broker = await _made_namespace(options, api, stack)
        await broker.ensure({name: [name] for name in functions})
        for class_name, name, after in zip(
            CLASSES, functions, [*functions[1:], f"done-{run}"], strict=True
        ):
            config = _config(options, class_name, name, after)
            stack.push_async_callback(api.delete, f"{_functions(options.pulsar)}/{name}")
            await _create(api, options.pulsar, config, file)
        plain = Plain(
            database, broker, function_control.FunctionControl(api, options.pulsar), functions
        )
        await plain.control.until_running(functions)
        yield plain


async def drain(plain: Plain, orders: int, tell: progress.Tell) -> float:
    """Publish orders, then start the first function; return orders/s from its first transaction.

    Raises:
        Temporary: they are not done in time, or rows are missing.
    """
    first, before = plain.functions[0], await _count(plain, _RECORDED)
    await plain.control.stop([first])
    for start in range(0, orders, PUBLISHED_MAX):
        number = min(PUBLISHED_MAX, orders - start)
        await plain.broker.publish([bus.Outgoing(first, "", _order()) for _ in range(number)])
    await plain.control.open(first)
    await _until(plain, _RECORDED, before + 1, lambda _: None)
    first_at_s = time.perf_counter()
    await _until(plain, _DONE, before + orders, lambda done: tell(done - before))
    seconds = time.perf_counter() - first_at_s
    for table, rows in ROWS.items():
        found = await _count(plain, f"SELECT COUNT(*) FROM {table}")  # noqa: S608 - ours
        if found != (wanted := rows * (before + orders)):
            raise errors.Temporary(f"{found} rows in {table}, {wanted} were expected")
    return orders / seconds


async def _until(plain: Plain, query: str, wanted: int, tell: progress.Tell) -> None:
    found, moved_at_s = -1, time.perf_counter()
    while (now := await _count(plain, query)) < wanted:
        if now != found:
            found, moved_at_s = now, time.perf_counter()
        if time.perf_counter() > moved_at_s + STALLED_S:
            raise errors.Temporary(f"the plain functions do not move: {now} of {wanted}")
        tell(now)
        await asyncio.sleep(LOOK_EVERY_S)
    tell(now)


async def _count(plain: Plain, query: str) -> int:
    found = await plain.database.read(lambda c: c.execute(sa.text(query)).scalar(), is_quick=True)
    return int(found or 0)


def _order() -> bytes:
    items = [{"sku": sku, "quantity": n, "unit_price": price} for sku, n, price in ITEMS]
    order = {"order_id": ids.random_token(), "merchant_id": "m1", "total": TOTAL, "items": items}
    return json.dumps(order).encode()


def _separate(options: settings.Settings) -> settings.Settings:
    """Return the settings with a namespace and a database of their own."""
    pulsar, mysql = options.pulsar, options.mysql
    update = {
        "pulsar": pulsar.model_copy(update={"namespace": f"{pulsar.namespace}-plain"}),
        "mysql": mysql.model_copy(update={"database": f"{mysql.database}_plain"}),
    }
    return options.model_copy(update=update)


async def _made_database(
    options: settings.Settings, stack: contextlib.AsyncExitStack
) -> db.Database:
    stack.push_async_callback(full_lab.drop, options)
    await full_lab.recreate(options)
    database = backends.open_database(options)
    stack.push_async_callback(database.close)
    await database.write(lambda connection: list(map(connection.exec_driver_sql, TABLES)))
    return database


async def _made_namespace(
    options: settings.Settings, api: admin.PulsarAdmin, stack: contextlib.AsyncExitStack
) -> bus.Bus:
    await api.ensure_namespace(ONE_PARTITION.partitions)
    stack.push_async_callback(_delete_namespace, api, options.pulsar)
    broker = pulsar_bus.PulsarBus(options.pulsar, ONE_PARTITION)
    await broker.open()
    stack.push_async_callback(broker.close)
    return broker


async def _delete_namespace(api: admin.PulsarAdmin, options: settings.PulsarSettings) -> None:
    """Delete the topics first, again if an instance that is still ending recreates them."""
    place = f"{options.tenant}/{options.namespace}"
    for _ in range(DELETE_TRIES):
        if not await api.delete_topics():
            break
        await asyncio.sleep(DELETE_PAUSE_S)
    await api.delete(f"/admin/v2/namespaces/{place}")


def _config(
    options: settings.Settings, class_name: str, name: str, after: str
) -> dict[str, object]:
    """Return the config that `pulsar-admin functions create` sends for the usual options."""
    return {
        "tenant": options.pulsar.tenant,
        "namespace": options.pulsar.namespace,
        "name": name,
        "className": f"plain_functions.{class_name}",
        "inputs": [options.pulsar.topic(name)],
        "output": options.pulsar.topic(after),
        "subName": name,
        "subscriptionPosition": "Earliest",
        # Otherwise its topic's backlog would be deleted when the function is stopped.
        "cleanupSubscription": False,
        "userConfig": {"database": options.mysql.database},
        "runtime": "PYTHON",
    }


def _functions(options: settings.PulsarSettings) -> str:
    return f"/admin/v3/functions/{options.tenant}/{options.namespace}"


async def _create(
    api: admin.PulsarAdmin,
    options: settings.PulsarSettings,
    config: dict[str, object],
    file: Path,
) -> None:
    code = await asyncio.to_thread(file.read_bytes)
    answer = await api.send(
        "POST",
        f"{_functions(options)}/{config['name']}",
        files={
            "functionConfig": (None, json.dumps({**config, "py": file.name}), "application/json"),
            "data": (file.name, code, "application/octet-stream"),
        },
    )
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
        raise errors.Misconfigured(f"{config['name']} was not created: {answer.text}")
