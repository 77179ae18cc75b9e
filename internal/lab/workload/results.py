"""Counts what the door said to the orders of a run, and what was not to be expected."""

import time
from collections import Counter

from internal.client import client, sender
from internal.lab.workload import generator, latency, scenarios
from internal.lab.workload.scenarios import Kind

SURPRISES_MAX = 20
"""So many are told; the rest is counted."""


class Tally:
    """The door's answers. Every submission is counted in exactly one place."""

    def __init__(self) -> None:
        self.placed: dict[str, Kind] = {}
        """Orders answered OK, the oldest first. They are promised to come to an end."""
        self.replayed = 0
        """OK for an order that had been placed before."""
        self.invalid: Counter[str] = Counter()
        """Refused for what is in them, by reason."""
        self.conflicts = 0
        """Refused because another order stands under the id."""
        self.errors: Counter[str] = Counter()
        """Anything else, after all retries."""
        self.answer_ms = latency.Histogram()
        """From the instant a call was due to its answer, retries included."""
        self.surprises = 0
        self.surprising: list[str] = []

    @property
    def submissions(self) -> int:
        """Count all of them."""
        refused = self.invalid.total() + self.conflicts + self.errors.total()
        return len(self.placed) + self.replayed + refused

    def add(self, sent: generator.Submission, answer: client.Answer) -> None:
        """Count one answer."""
        match answer.code:
            case client.OK:
                self._add_ok(sent, answer)
            case "INVALID_ARGUMENT":
                self.invalid[answer.reason] += 1
            case "ALREADY_EXISTS":
                self.conflicts += 1
            case _:
                self.errors[sender.name_of(answer)] += 1
        if not _is_as_meant(sent.kind, answer):
            self.surprise(f"{answer.order_id} ({sent.kind}): {_say(answer)}")

    def answered(self, due_s: float) -> None:
        """Measure a call that was due at this instant and is answered now."""
        self.answer_ms.record((time.perf_counter() - due_s) * 1_000)

    def surprise(self, what: str) -> None:
        """Note something that should not have come."""
        self.surprises += 1
        if len(self.surprising) < SURPRISES_MAX:
            self.surprising.append(what)

    def _add_ok(self, sent: generator.Submission, answer: client.Answer) -> None:
        """Count an order once: after a lost answer even its first OK says replayed."""
        if answer.order_id in self.placed:
            self.replayed += 1
        else:
            self.placed[answer.order_id] = sent.kind


def _is_as_meant(kind: Kind, answer: client.Answer) -> bool:
    refused_at_door = kind in (Kind.INVALID, Kind.REUSED)
    if answer.is_ok:
        return not refused_at_door
    return refused_at_door and answer.reason in scenarios.MEANT[kind].ends


def _say(answer: client.Answer) -> str:
    return " ".join(filter(None, (answer.code, answer.reason, answer.text)))
