"""The reasons of cancel requests: free text, kept where it can be erased, with its order.

A request that comes before its order keeps its reason itself until the order is there.
"""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from internal.orders import messages
from internal.privacy import store
from internal.privacy.messages import NOTE, reason_name
from internal.requests import rules
from internal.requests.messages import Request, RequestKey

ORDER, REQUEST = store.Subject.ORDER, store.Subject.REQUEST


def keep_waiting(connection: sa.Connection, asked: Iterable[messages.Asked], now_us: int) -> None:
    """Record the reasons of requests that are recorded now and find no order."""
    held = [
        store.Held(_number_of(command), command.merchant_id, {NOTE: private.note})
        for command, private in asked
        if private.note
    ]
    store.add(connection, REQUEST, held, now_us)


def keep(
    connection: sa.Connection, asked: Sequence[tuple[messages.Asked, int]], now_us: int
) -> None:
    """Record the reasons of requests about orders, each with its order's key; each reason once."""
    told = [pair for pair in asked if pair[0].private.note]
    if not told:
        return
    known = store.find(connection, ORDER, sorted({order_key for _, order_key in told}))
    held = [
        store.Held(order_key, command.merchant_id, {name: private.note})
        for (command, private), order_key in told
        if (name := reason_name(command.request_id)) not in known.get(order_key, {})
    ]
    store.add(connection, ORDER, held, now_us)
    store.erase(connection, REQUEST, [_number_of(command) for (command, _), _ in told])


def hand_over(connection: sa.Connection, found: Mapping[RequestKey, int], now_us: int) -> None:
    """Give the reasons of requests that waited to their orders, by the orders' keys."""
    numbers = {rules.number_of(key): key for key in found}
    known = store.find(connection, REQUEST, sorted(numbers))
    if not known:
        return
    held = [
        store.Held(found[key], key.merchant_id, {reason_name(key.request_id): texts[NOTE]})
        for number, texts in known.items()
        for key in [numbers[number]]
    ]
    store.add(connection, ORDER, held, now_us)
    store.erase(connection, REQUEST, sorted(known))


def erase(connection: sa.Connection, requests: Iterable[Request]) -> int:
    """Erase the reasons that requests keep themselves; return how many there were."""
    return store.erase(connection, REQUEST, [rules.number_of(it.key) for it in requests])


def _number_of(command: messages.Requested) -> int:
    key = RequestKey(command.merchant_id, command.method, command.request_id)
    return rules.number_of(key)
