"""A Souk that is broken on purpose: its payment stage keeps its attempts in memory only.

Everything else is the real engine. After a restart it finds an order without any history and
charges the card once more under a new key. Recorded attempts and their keys exist to prevent that.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from internal.kernel import ids
from internal.orders import messages, store
from internal.payments import store as payments_store
from internal.payments.messages import Attempt
from internal.stages import open_orders, payment_plans

PROCESSES = 1_000
ATTEMPTS_PER_PROCESS = 100


class ForgetfulStore:
    """Stands between the payment stage and its table: writes there, reads only its own memory."""

    def __init__(self) -> None:
        process = int(ids.random_token(4), 16) % PROCESSES
        self._first_no = process * ATTEMPTS_PER_PROCESS
        self._suffix = f"~{process}"
        self._tried: defaultdict[int, dict[int, Attempt]] = defaultdict(dict)
        self._add, self._update = payments_store.add, payments_store.update
        self._plan_one = payment_plans.plan_one

    def take_over(self) -> None:
        """Replace the functions of the store and the stage."""
        payments_store.histories = self.histories
        payments_store.add = self.add
        payments_store.update = self.update
        payment_plans.plan_one = self.plan_one

    def histories(
        self, connection: sa.Connection, order_keys: Sequence[int]
    ) -> dict[int, payments_store.History]:
        """Return the attempts of this process."""
        del connection
        return {
            key: payments_store.History(tuple(self._tried[key].values()))
            for key in order_keys
            if key in self._tried
        }

    def add(self, connection: sa.Connection, attempts: Sequence[Attempt], at_us: int) -> None:
        """Record attempts, after those of other processes."""
        self._remember(attempts, at_us)
        self._add(connection, list(map(self._numbered, attempts)), at_us)

    def update(self, connection: sa.Connection, attempts: Sequence[Attempt], at_us: int) -> None:
        """Record the results of attempts."""
        self._remember(attempts, at_us)
        self._update(connection, list(map(self._numbered, attempts)), at_us)

    def plan_one(
        self,
        accepted: messages.OrderAccepted,
        order: store.OrderSnapshot,
        history: payments_store.History,
        now_us: int,
        opened: open_orders.OpenOrder | None = None,
    ) -> payment_plans.Plan:
        """Plan with an order id that is new in each process, so that the gateway sees new keys."""
        renamed = msgspec.structs.replace(accepted, order_id=accepted.order_id + self._suffix)
        plan = self._plan_one(renamed, order, history, now_us, opened)
        return msgspec.structs.replace(plan, accepted=accepted)

    def _remember(self, attempts: Sequence[Attempt], at_us: int) -> None:
        for attempt in attempts:
            changed = msgspec.structs.replace(attempt, updated_at_us=at_us)
            self._tried[attempt.order_key][attempt.attempt_no] = changed

    def _numbered(self, attempt: Attempt) -> Attempt:
        number = self._first_no + attempt.attempt_no
        return msgspec.structs.replace(attempt, attempt_no=number)


def take_over() -> None:
    """Replace the real code."""
    ForgetfulStore().take_over()


if __name__ == "__main__":
    from internal.host import command

    take_over()
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
