"""Erasing what is private of an order: its note, its tokens, the reasons of its cancel requests.

Facts, digests, amounts and the hash of the order stay, so everything that is recorded still agrees,
and a retry of the order is still recognised.
"""

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log
from internal.kernel import errors, ids
from internal.kernel.states import is_terminal
from internal.orders import fact_bases, store
from internal.pipeline import dead_letters
from internal.privacy import store as privacy_store
from internal.requests import store as requests_store
from internal.requests.messages import SubjectKind
from internal.stages import reasons

ACTION = "PRIVATE_VALUES_ERASED"


class Wish(msgspec.Struct, frozen=True):
    """An order whose private values are to be erased, by whom, when and why."""

    ref: ids.OrderRef
    actor: str
    reason: str
    at_us: int


class Erased(msgspec.Struct, frozen=True):
    """The result."""

    values: int
    """How many there were."""
    letters: tuple[int, ...]
    """Open dead letters that cannot be replayed any more, because a part of them was erased."""


def erase(connection: sa.Connection, wish: Wish) -> Erased:
    """Erase the private values of an order and of its dead letters, and log who did it.

    Raises:
        InvalidInput: nothing is known of the order, or it has not come to its end.
    """
    subject = ids.Subject(fact_bases.SUBJECT_KIND, *wish.ref)
    letters = dead_letters.of_subject(connection, subject)
    order = _lock(connection, wish.ref)
    about = requests_store.Subject(wish.ref.merchant_id, SubjectKind.ORDER, wish.ref.order_id)
    requests = requests_store.of_subject(connection, about)
    if order is None and not letters and not requests:
        what = f"there is no order {wish.ref.order_id!r} of {wish.ref.merchant_id}"
        raise errors.InvalidInput([("", what)])
    values = reasons.erase(connection, requests)
    if order:
        values += privacy_store.erase(connection, privacy_store.Subject.ORDER, [order.order_key])
    keys = [letter.letter_key for letter in letters]
    values += privacy_store.erase(connection, privacy_store.Subject.LETTER, keys)
    is_open = (it.letter_key for it in letters if it.held and it.closed_at_us is None)
    erased = Erased(values, tuple(is_open))
    audit_log.log(connection, [_action(wish, order, erased)])
    return erased


def _lock(connection: sa.Connection, ref: ids.OrderRef) -> store.OrderSnapshot | None:
    """Lock the order's row, and return it; None if it is not recorded."""
    found = store.find(connection, [ref]).get(ref)
    if found is None:
        return None
    order = store.lock(connection, [found.order_key])[found.order_key]
    if not is_terminal(order.state):
        what = (
            f"the order {ref.order_id} is {order.state}, and its payment may need its token:"
            " wait for its end, cancel it, or decide what it waits for"
        )
        raise errors.InvalidInput([("", what)])
    return order


def _action(wish: Wish, order: store.OrderSnapshot | None, erased: Erased) -> audit_log.Action:
    letters = f", dead letters {', '.join(map(str, erased.letters))}" if erased.letters else ""
    return audit_log.Action(
        at_us=wish.at_us,
        actor=wish.actor,
        action=ACTION,
        merchant_id=wish.ref.merchant_id,
        order_id=wish.ref.order_id,
        subject=order.version if order else 0,
        detail=f"{erased.values} values{letters}",
        reason=wish.reason,
    )
