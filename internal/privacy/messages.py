"""The private half of a fact: free text, tokens and contacts, which must be erasable.

A fact is logged, digested and kept; its private half travels beside it on the topics that the flow
names, and ends in the table of private values. Must not appear in a log line: `repr` hides it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from internal.kernel import ids

NOTE = "note"
CONTACT = "contact"
_TOKEN = "token:"  # noqa: S105 - the beginning of a name
_REASON = "reason:"


class Private(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a merchant says beside a fact. A cancel request's note is its reason."""

    note: str = ""
    tokens: dict[str, str] = {}
    """By the tender's reference: what the gateway charges."""
    contact: str = ""

    def flaw(self) -> str:
        """Return which reference of a tender breaks the form of an id; "" if none does."""
        return next(filter(None, (ids.flaw(tender_ref=ref) for ref in self.tokens)), "")

    def __repr__(self) -> str:
        """Return a text without the values, for tracebacks."""
        return "Private(…)"


NOTHING = Private()
EMPTY: Mapping[str, str] = MappingProxyType({})


def values_of(private: Private) -> dict[str, str]:
    """Return the values that are not empty, by the name of their row."""
    named = {NOTE: private.note, CONTACT: private.contact}
    named |= {token_name(ref): token for ref, token in private.tokens.items()}
    return {name: content for name, content in named.items() if content}


def token_name(tender_ref: str) -> str:
    """Return the name of the row that holds the token of a tender."""
    return f"{_TOKEN}{tender_ref}"


def tokens_in(values: Mapping[str, str]) -> dict[str, str]:
    """Return the tokens among an order's private values, by the tender's reference."""
    return {
        name.removeprefix(_TOKEN): content
        for name, content in values.items()
        if name.startswith(_TOKEN)
    }


def reason_name(request_id: str) -> str:
    """Return the name of the row that holds the reason of a cancel request."""
    return f"{_REASON}{request_id}"


def reasons_in(values: Mapping[str, str]) -> dict[str, str]:
    """Return the reasons among an order's private values, by the request's id."""
    return {
        name.removeprefix(_REASON): content
        for name, content in values.items()
        if name.startswith(_REASON)
    }
