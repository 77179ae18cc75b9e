"""A request that may be sent twice, and the answer that it gets each time.

Holds no free text: the body of a request is kept as a hash only.
"""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class RequestState(StrEnum):
    """How far a request has come."""

    RECEIVED = "RECEIVED"
    """Its subject was not there. It is looked for once more, after this row is committed."""
    WAITING = "WAITING"
    """Its subject was not there then, either. The request is carried out when it comes."""
    DONE = "DONE"
    """It has its answer, which never changes."""


class RequestKey(NamedTuple):
    """Identifies a request: its sender's id counts for one method of one merchant."""

    merchant_id: str
    method: str
    request_id: str


class SubjectKind(StrEnum):
    """The kind of thing that a request is about."""

    ORDER = "order"
    STORE = "store"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded request."""

    merchant_id: str
    method: str
    request_id: str
    body_hash: str
    subject_kind: str
    subject: str
    """The merchant's id of the thing that it is about."""
    state: RequestState
    status: str = ""
    """Why it was refused, in UPPER_SNAKE; "" if it was not."""
    answer: str = ""
    """JSON of the method's own."""
    actor_key: int | None = None
    at_us: int
    """When it got its state."""

    @property
    def key(self) -> RequestKey:
        """The key of its row."""
        return RequestKey(self.merchant_id, self.method, self.request_id)
