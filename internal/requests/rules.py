"""The rule of repeated requests: the same id and body get the same answer. Pure."""

from enum import StrEnum

import msgspec

from internal.kernel import ids
from internal.requests.messages import Request, RequestKey


class Verdict(StrEnum):
    """What a request is to those recorded before."""

    NEW = "NEW"
    REPEATED = "REPEATED"
    REUSED = "REUSED"
    """Its id is taken by a request with another body, which stays as it is."""


def judge(known: Request | None, body_hash: str) -> Verdict:
    """Compare a request with the one that is recorded under its id, if there is one."""
    if known is None:
        return Verdict.NEW
    return Verdict.REPEATED if known.body_hash == body_hash else Verdict.REUSED


def hash_of(*values: object) -> str:
    """Return 32 hex digits of a request's meaning: its fields in a fixed order, without its id."""
    return ids.short_digest(msgspec.json.encode(values))


NUMBER_DIGITS = 15
"""Hex digits that fit a signed 64-bit integer."""


def number_of(key: RequestKey) -> int:
    """Return a number for a request, a digest of its key, where a table needs a number."""
    return int(ids.digest("\n".join(key).encode())[:NUMBER_DIGITS], 16)
