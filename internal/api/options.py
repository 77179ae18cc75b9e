"""The options of the API server: its limits, with units and reasons, and how it is reached.

Plain values; the host fills them from the settings.
"""

from pathlib import Path

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """The limits on numbers, sizes and times."""

    request_bytes_max: int = 8 * 1024 * 1024
    """A batch of 1,000 orders of 8 KiB."""
    request_s: float = 10.0
    """A request must have come this long after its headers; 8 MiB take that at 7 Mbit/s."""
    calls_max: int = 4_096
    """Unary calls open at once, until their answers are sent; each costs a few KiB. Beyond it only
    connections with less than their share of them get in.
    """
    watches_max: int = 1_024
    """WatchOrder streams open at once; each reads the database at least once a second. A merchant
    gets as many as are left for others: half of them if it is alone.
    """
    waits_max: int = 2_048
    """Unary calls that wait for orders at once, shared out like streams. The other half of all
    calls is left to those that end by themselves.
    """
    connection_calls_max: int = 250
    """Calls open on one connection; the client's library holds back further ones."""
    connections_max: int = 4_096
    """Connections open at once; each costs a file descriptor and some 20 KiB."""
    unread_bytes_max: int = 32 * 1024 * 1024
    """Answers that wait for callers to read them; small ones are not refused."""
    unread_s: float = 60.0
    """A connection with an answer that has not been read for this long is cut."""
    backlog_orders_max: int = 50_000
    """Orders accepted and not recorded yet: the most that a burst may leave; all are in memory."""
    recent_bytes_max: int = 64 * 1024 * 1024
    """Memory for orders answered OK lately: 100,000 of three lines, 3,000 of two hundred. A backlog
    of larger orders is refused earlier.
    """
    queue_orders_max: int = 10_000
    """Orders waiting for a place in a message; a longer queue would only refuse later."""
    queue_lines_max: int = 400_000
    """Lines of these orders: some 80 MB, and two calls of 1,000 orders with 200 lines each."""
    batch_orders_max: int = 1_000
    """Orders published together; a larger batch is too big for the stages' transactions."""
    batches_in_flight_max: int = 2
    """One is on its way while the next one is packed. A higher limit would make them smaller."""
    retry_after_s: float = 1.0
    """How long a refused caller is told to wait."""
    deadline_default_s: float = 30.0
    """For calls without a deadline: no call may be open forever."""
    deadline_max_s: float = 120.0
    """Longer deadlines are cut to this."""
    watch_deadline_max_s: float = 3_600.0
    """The same for streams; a client resumes one from the last version it saw."""
    answer_margin_s: float = 0.1
    """A waiting call answers this long before its deadline, so that the answer still arrives."""
    reread_s: float = 1.0
    """A waiting call reads the database this often even when no message wakes it."""
    read_max_s: float = 5.0
    """The database ends a read for a call after this time. All are bounded in rows: usually one
    takes some milliseconds.
    """
    lookup_s: float = 0.5
    """The longest look-up of orders recorded before; after that the order stage decides alone."""
    key_ttl_s: float = 30.0
    """How long a revoked API key may still work."""
    key_stale_max_s: float = 3_600.0
    """How long a known key works while the database is away."""
    keys_max: int = 10_000
    """API keys cached: valid ones and invalid ones each."""


class Tls(msgspec.Struct, frozen=True):
    """PEM files. With `client_ca_file`, clients must show a certificate of its authority (mTLS)."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None


class Options(msgspec.Struct, frozen=True):
    """Where the server listens, and how."""

    host: str = "127.0.0.1"
    port: int = 50_051
    """0 takes a free one."""
    tls: Tls | None = None
    reflection: bool = True
    """Lets grpcurl list methods and types; off in production."""
    drain_s: float = 10.0
    """How long open calls may take to end when the server closes."""
    keepalive_s: float = 60.0
    """A silent connection is probed this often, and dropped when it does not answer within 20 s."""
    idle_s: float = 300.0
    """A connection without a call for this long is closed; a client's library opens another."""
    age_s: float = 1_800.0
    """A connection this old takes no new calls: callers spread over servers, and none stays."""
    age_grace_s: float = 600.0
    """How long the calls of such a connection may go on; a stream that breaks is resumed."""
    limits: Limits = Limits()
