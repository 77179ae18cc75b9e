"""What the gRPC door lets in: limits with their units and reasons, and how it is secured.

Plain values; whoever starts the door reads them from the settings.
"""

from pathlib import Path

import msgspec

ORDER_BYTES_MAX = 64 * 1024
"""An order of 200 lines takes about 20 KiB. Not a setting: the readers of the topics rely on it."""


class Limits(msgspec.Struct, frozen=True):
    """How much at a time, and how long."""

    request_bytes_max: int = 8 * 1024 * 1024
    """A batch of 1,000 orders of 8 KiB."""
    calls_max: int = 4_096
    """Unary calls open at once; each costs a few KiB and a place in the event loop's queues."""
    watches_max: int = 1_024
    """WatchOrder streams open at once; each reads the database at least once a second."""
    backlog_orders_max: int = 50_000
    """Orders taken and not recorded yet: what a burst may leave behind; all in memory."""
    queue_orders_max: int = 10_000
    """Orders waiting for a place in a message; more than a few batches only refuses later."""
    batch_orders_max: int = 1_000
    """Orders published together; beyond that, messages get too big for the stages' transactions."""
    batches_in_flight_max: int = 2
    """One is on its way while the next one is packed. More would make them smaller."""
    retry_after_s: float = 1.0
    """What a refused caller is told to wait."""
    deadline_default_s: float = 30.0
    """For calls that come without one: nobody may hold a place for ever."""
    deadline_max_s: float = 120.0
    """Longer ones are cut."""
    watch_deadline_max_s: float = 3_600.0
    """Streams live longer; they resume from their last version."""
    answer_margin_s: float = 0.1
    """A waiting call answers this long before its deadline, so that the answer still arrives."""
    reread_s: float = 1.0
    """Waiting clients look at the database this often even when no message wakes them."""
    lookup_s: float = 0.5
    """The longest look for orders recorded before; without it the order stage is on its own."""
    key_ttl_s: float = 30.0
    """How long a revoked API key may still work."""
    key_stale_max_s: float = 3_600.0
    """How long a known key works while the database cannot be asked."""
    keys_max: int = 10_000
    """API keys remembered, right ones and wrong ones each."""


class Tls(msgspec.Struct, frozen=True):
    """PEM files. With `client_ca_file`, clients must show a certificate of its authority (mTLS)."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None


class Options(msgspec.Struct, frozen=True):
    """Where the door stands and how it opens."""

    host: str = "127.0.0.1"
    port: int = 50_051
    """0 takes a free one."""
    tls: Tls | None = None
    reflection: bool = True
    """Lets grpcurl list methods and types; off in production."""
    drain_s: float = 10.0
    """How long open calls may take to end when the door closes."""
    keepalive_s: float = 60.0
    """A silent connection is probed this often, and dropped when it does not answer within 20 s."""
    limits: Limits = Limits()
