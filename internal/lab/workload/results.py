"""Counts the server's answers to the orders of a run, and notes the unexpected ones."""

import time
from collections import Counter

from internal.client import client, sender
from internal.lab.workload import generator, latency, scenarios
from internal.lab.workload.scenarios import Kind

SURPRISES_MAX = 20
"""This many are described; the others are only counted."""


class Results:
    """The server's answers. Every submission is counted in exactly one place."""

    def __init__(self) -> None:
        self.placed: dict[str, Kind] = {}
        """Orders answered OK, oldest first. The server has promised that they will end."""
        self.replayed = 0
        """OK for an order that had been placed before."""
        self.invalid: Counter[str] = Counter()
        """Refused as invalid, by reason."""
        self.conflicts = 0
        """Refused because the id belongs to another order."""
        self.errors: Counter[str] = Counter()
        """Any other answer, after all retries."""
        self.answer_ms = latency.Histogram()
        """From the instant a call was due until its answer, retries included."""
        self.surprises = 0
        self.surprising: list[str] = []

    @property
    def submissions(self) -> int:
        """Number of submissions."""
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
        if not _is_expected(sent.kind, answer):
            self.surprise(f"{answer.order_id} ({sent.kind}): {_describe(answer)}")

    def answered(self, due_s: float) -> None:
        """Record the duration of a call that was due at `due_s` and is answered now."""
        self.answer_ms.record((time.perf_counter() - due_s) * 1_000)

    def surprise(self, what: str) -> None:
        """Note an unexpected answer or end."""
        self.surprises += 1
        if len(self.surprising) < SURPRISES_MAX:
            self.surprising.append(what)

    def _add_ok(self, sent: generator.Submission, answer: client.Answer) -> None:
        """Count an order once: after a lost answer even its first OK is marked as replayed."""
        if answer.order_id in self.placed:
            self.replayed += 1
        else:
            self.placed[answer.order_id] = sent.kind


def _is_expected(kind: Kind, answer: client.Answer) -> bool:
    is_to_be_refused = kind in (Kind.INVALID, Kind.REUSED)
    if answer.is_ok:
        return not is_to_be_refused
    return is_to_be_refused and answer.reason in scenarios.EXPECTED[kind].ends


def _describe(answer: client.Answer) -> str:
    return " ".join(filter(None, (answer.code, answer.reason, answer.text)))
