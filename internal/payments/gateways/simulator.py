"""A simulated payment gateway that fails on demand and keeps its own ledger in a file.

The token of a charge decides its outcome, so that a test can choose it; `tok_random` draws one by
seed and key. The ledger survives kill -9, as the ledger of a remote gateway would.

tok_ok captured · tok_partial:<minor units> captured, but no more than these ·
tok_declined:<code> declined · tok_slow captured after `slow_s` ·
tok_timeout_before never arrives, no answer · tok_lost_answer captured, but the answer is lost ·
tok_away refuses connections · tok_away_once does so once
"""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from internal.infra import settings
from internal.infra.data_folder import private
from internal.infra.sqlite import integrity, meaning
from internal.kernel import errors
from internal.payments.gateways.port import Answer, Charge, GatewayStatus, RecordedRequest, Void

FILE = "gateway-simulator.db"
"""The ledger's name in the data folder."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
  request_key TEXT PRIMARY KEY, kind TEXT NOT NULL, charge_key TEXT NOT NULL,
  merchant_id TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
  status TEXT NOT NULL, reference TEXT NOT NULL, decline_code TEXT NOT NULL,
  calls INTEGER NOT NULL DEFAULT 1);
CREATE INDEX IF NOT EXISTS requests_by_charge ON requests (charge_key);
"""
RANDOM_OUTCOMES = (
    (92, "tok_ok"),
    (95, "tok_declined:insufficient_funds"),
    (97, "tok_lost_answer"),
    (98, "tok_timeout_before"),
    (100, "tok_away_once"),
)
"""Each outcome with its upper bound in percent."""
ONCE = frozenset({"tok_away_once", "tok_lost_answer", "tok_slow", "tok_timeout_before"})
"""Behaviours that apply only to the first request of a key."""
SEEN_KEYS_MAX = 100_000
"""Keys whose first request is remembered; then all are forgotten at once."""


def open_gateway(options: settings.Settings) -> "SimulatedGateway":
    """Open the simulator that the settings describe, in the data folder.

    Raises:
        DatabaseDamaged: its ledger is damaged, or not a database.
        DatabaseAway: its ledger cannot be opened or written.
    """
    path = ledger_file(options)
    private.make_folder(path.parent)
    return SimulatedGateway(
        path,
        seed=options.gateway.simulator_seed,
        latency_s=options.gateway.simulator_latency_ms / 1_000,
    )


def find_ledger(options: settings.Settings) -> "SimulatorLedger | None":
    """Return the ledger in the data folder; None before the simulator was first opened there."""
    path = ledger_file(options)
    return SimulatorLedger(path) if path.is_file() else None


def ledger_file(options: settings.Settings) -> Path:
    """Return where the ledger is, or will be."""
    return options.storage.data_dir / FILE


CAPTURED = """
SELECT c.request_key, c.amount_minor FROM requests c
WHERE c.kind = 'CHARGE' AND c.status = 'SUCCEEDED' AND NOT EXISTS
  (SELECT 1 FROM requests v WHERE v.kind = 'VOID' AND v.charge_key = c.request_key)
"""


class SimulatedGateway:
    """The simulator described above: one per process, but other processes may read its ledger."""

    def __init__(
        self, path: Path, *, seed: int = 1, latency_s: float = 0.0, slow_s: float = 2.0
    ) -> None:
        self._seed, self._latency_s, self._slow_s = seed, latency_s, slow_s
        self._path = path
        self._seen: set[str] = set()
        private.make_file(path)
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.executescript(SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise meaning.of_error(error, path) or errors.DatabaseAway(str(error)) from error

    async def charge(self, request: Charge) -> Answer:
        """See Gateway.charge."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        behaviour = self._behaviour(request)
        if behaviour == "tok_away":
            raise errors.GatewayAway("the gateway refuses connections")
        first = behaviour in ONCE and self._is_first(request.key)
        known = self._find(request.key)
        if known is None and first:
            await self._misbehave(behaviour)
            known = self._find(request.key)  # another request may have been faster
        answer = known or self._capture(request, behaviour)
        if known:
            self._count_call(request.key)
        if behaviour == "tok_lost_answer" and first:
            raise errors.GatewaySilent("the answer was lost")
        return answer

    async def _misbehave(self, behaviour: str) -> None:
        if behaviour == "tok_away_once":
            raise errors.GatewayAway("the gateway refuses connections")
        if behaviour == "tok_timeout_before":
            raise errors.GatewaySilent("no answer; the request never arrived")
        if behaviour == "tok_slow":
            await asyncio.sleep(self._slow_s)

    async def void(self, request: Void) -> Answer:
        """See Gateway.void."""
        known = self._find(request.key)
        if known:
            return known
        answer = Answer(GatewayStatus.SUCCEEDED, f"void_{digest_of(request.key)}")
        if self._find(request.charge_key) is None:  # bars the charge, should it still arrive
            reference = f"sim_{digest_of(request.charge_key)}"
            barred = Answer(GatewayStatus.DECLINED, reference, "voided")
            self._store("CHARGE", _without_amount(request.charge_key), barred)
        self._store("VOID", _without_amount(request.key), answer, request.charge_key)
        return answer

    async def lookup(self, key: str) -> Answer | None:
        """See Gateway.lookup."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        return self._find(key)

    async def close(self) -> None:
        """See Gateway.close."""
        self._connection.close()

    def _behaviour(self, request: Charge) -> str:
        if request.card_token != "tok_random":  # noqa: S105 - the name of a behaviour
            return request.card_token
        drawn = int(digest_of(f"{self._seed}/{request.key}"), 16) % 100
        return next(name for below, name in RANDOM_OUTCOMES if drawn < below)

    def _is_first(self, key: str) -> bool:
        if len(self._seen) >= SEEN_KEYS_MAX:
            self._seen.clear()
        first = key not in self._seen
        self._seen.add(key)
        return first

    def _capture(self, request: Charge, behaviour: str) -> Answer:
        _, _, code = behaviour.partition("tok_declined:")
        status = GatewayStatus.DECLINED if code else GatewayStatus.SUCCEEDED
        taken_minor = 0 if code else _taken_minor(request, behaviour)
        currency = "" if code else request.currency
        answer = Answer(status, f"sim_{digest_of(request.key)}", code, taken_minor, currency)
        if self._store("CHARGE", request, answer):
            return answer
        return self._find(request.key) or answer  # another process was faster

    def _find(self, key: str) -> Answer | None:
        with self._answering(errors.GatewaySilent):
            row = self._connection.execute(
                "SELECT status, reference, decline_code, amount_minor, currency FROM requests"
                " WHERE request_key = ?",
                (key,),
            ).fetchone()
        return Answer(GatewayStatus(row[0]), *row[1:]) if row else None

    def _count_call(self, key: str) -> None:
        with self._answering(errors.GatewaySilent):
            self._connection.execute(
                "UPDATE requests SET calls = calls + 1 WHERE request_key = ?", (key,)
            )

    def _store(self, kind: str, request: Charge, answer: Answer, charge_key: str = "") -> bool:
        """Record a request; return whether it is the first with its key."""
        with self._answering(errors.GatewayAway):
            stored = self._connection.execute(
                "INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                (
                    request.key,
                    kind,
                    charge_key or request.key,
                    request.merchant_id,
                    answer.amount_minor,
                    answer.currency,
                    answer.status,
                    answer.reference,
                    answer.decline_code,
                ),
            )
        return stored.rowcount == 1

    @contextlib.contextmanager
    def _answering(self, unable: type[errors.GatewayAway | errors.GatewaySilent]) -> Iterator[None]:
        """Answer as a gateway does whose own disk is full: no order is at fault.

        Raises:
            DatabaseDamaged: the ledger is damaged, so no later answer could be trusted.
        """
        try:
            yield
        except sqlite3.Error as error:
            known = meaning.of_error(error, self._path)
            if isinstance(known, errors.DatabaseAway):
                raise unable(f"the gateway cannot answer: {error}") from error
            if known is None:
                raise
            raise known from error


def _taken_minor(request: Charge, behaviour: str) -> int:
    """Return what is captured: all that was asked for, unless the token says less."""
    _, _, partial = behaviour.partition("tok_partial:")
    return min(int(partial), request.amount_minor) if partial else request.amount_minor


def _without_amount(key: str) -> Charge:
    return Charge(key=key, merchant_id="", amount_minor=0, currency="", card_token="")


def digest_of(text: str) -> str:
    """Return 16 hex digits that depend on nothing but `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class SimulatorLedger:
    """The simulator's ledger, see GatewayLedger. A simulator may use the file at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def captured_by_key(self, keys: Collection[str] | None = None) -> dict[str, int]:
        """See GatewayLedger.captured_by_key."""
        with integrity.opened(self._path, is_read_only=True) as connection:
            if keys is None:
                return dict(connection.execute(CAPTURED).fetchall())
            one = f"{CAPTURED} AND c.request_key = ?"
            rows = (connection.execute(one, (key,)).fetchone() for key in keys)
            return dict(row for row in rows if row)

    def requests(self) -> list[RecordedRequest]:
        """See GatewayLedger.requests."""
        with integrity.opened(self._path, is_read_only=True) as connection:
            return connection.execute("SELECT * FROM requests").fetchall()

    def add_copies(self, requests: Sequence[RecordedRequest], suffix: str) -> None:
        """See GatewayLedger.add_copies. The third value of a row is a key, too."""
        copies = [
            (f"{key}{suffix}", kind, f"{charge_key}{suffix}", *rest)
            for key, kind, charge_key, *rest in requests
        ]
        with integrity.opened(self._path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", copies
            )
            connection.execute("COMMIT")

    def clear(self) -> None:
        """See GatewayLedger.clear."""
        for file in self._path.parent.glob(f"{self._path.name}*"):
            file.unlink()
