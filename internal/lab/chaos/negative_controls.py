"""Negative controls: functions that are broken on purpose must fail the checks that real ones pass.

The broken code of each is a module that the caller hands in; it is put into a wheel of its own, and
no other wheel contains it.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from internal.checks import stock
from internal.deploy import wheel
from internal.flow import topics
from internal.lab.chaos import faults, target, terminations, trial
from internal.lab.workload import scenarios
from internal.lab.workload.scenarios import Kind
from internal.stack import stack

BROKEN = "internal/broken.py"
TAKES_OVER = "\nfrom internal import broken  # noqa: E402\n\nbroken.take_over()\n"
SOON_S = 5.0
"""An order that has not ended by then is stuck: no part of the engine resumes it."""
KILLS = 3
BOOKED_ONCE = (
    "a finalized order is booked once: what was received, its tax, its tip and its rounding"
)
NO_JANITOR: Mapping[str, str] = {"SOUK_JANITOR__INTERVAL_S": "600"}


class Control(msgspec.Struct, frozen=True):
    """A way to break Souk, the fault that exposes it, and the finding that must follow."""

    name: str
    module: str
    """The broken code; has a function `take_over`."""
    function: str
    fault: faults.Fault
    invariant: str
    sentence: str
    mix: scenarios.Mix = {}
    quiet_within_s: float = trial.QUIET_WITHIN_S
    intake: Mapping[str, str] = {}
    """Settings of the intake, added to the usual ones."""

    def is_found(self, result: trial.Result) -> bool:
        """Tell whether the checks have failed as they must."""
        return self.sentence in result.sentences(self.invariant)


class Nothing(msgspec.Struct, frozen=True):
    """No fault: the broken code shows by itself."""

    name: str = "nothing"

    async def strike(self, at: target.Target) -> faults.Fired:
        """See faults.Fault."""
        if at.pool:
            await at.pool.answered(trial.FLOWS_AFTER * 5)
        return {}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        del fired
        return []


def all_controls(seed: int) -> list[Control]:
    """Return every negative control."""
    after_commit, after_send = f"{topics.PAYMENT.name}.after_commit", "gateway.after_send"
    before_ack = f"{topics.FINALIZATION.name}.before_ack"
    return [
        Control(
            "control: without repeating facts",
            "broken_never_repeats",
            topics.PAYMENT.name,
            faults.Failpoints("kill after commit", KILLS, (after_commit,), seed),
            "I1",
            "an order that was answered OK comes to its end",
            quiet_within_s=SOON_S,
            intake=NO_JANITOR,
        ),
        Control(
            "control: without a memory of attempts",
            "broken_forgets_attempts",
            topics.PAYMENT.name,
            faults.Failpoints("kill after send", KILLS, (after_send,), seed),
            "I3",
            "the gateway captured a tender once at most",
        ),
        Control(
            "control: without the claim of a sale",
            "broken_books_twice",
            topics.FINALIZATION.name,
            faults.Failpoints("kill before ack", KILLS, (before_ack,), seed),
            "I3",
            BOOKED_ONCE,
        ),
        Control(
            "control: without the guard of the stock",
            "broken_oversells",
            topics.ORDER.name,
            Nothing(),
            "I5",
            stock.BELOW_RESERVED.sentence,
            mix={Kind.SCARCE: 300},
        ),
        Control(
            "control: without leaving at SIGTERM",
            "broken_stays",
            topics.ORDER.name,
            terminations.Terminate("SIGTERM", len(topics.STAGES)),
            terminations.INVARIANT,
            terminations.STAYED,
        ),
    ]


def chosen(seed: int, only: Sequence[str]) -> list[Control]:
    """Return the controls whose names contain one of `only`; all controls if it is empty."""
    wanted = all_controls(seed)
    return [it for it in wanted if not only or any(word in it.name for word in only)]


async def run(
    of: stack.Stack, control: Control, package: wheel.Wheel, broken: Path, seed: int
) -> trial.Result:
    """Try broken functions on an empty database and empty topics; delete everything afterwards.

    Args:
        of: a running stack without functions.
        control: the negative control to try.
        package: a good wheel.
        broken: the folder of the broken modules.
        seed: makes the orders.
    """
    plan = trial.Plan(
        control.fault, seed, control.quiet_within_s, control.mix or trial.MIX, control.name
    )
    await target.clear(of)
    try:
        bad = with_broken(package, broken / f"{control.module}.py", control.function)
        async with target.opened(of, bad, 1, control.intake) as at:
            return await trial.run(at, plan)
    finally:
        await target.clear(of)


def with_broken(package: wheel.Wheel, module: Path, function: str) -> wheel.Wheel:
    """Return a wheel in which a function calls `take_over` of a broken module."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package.content)) as old,
        zipfile.ZipFile(changed, "w") as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            is_here = name == f"functions/{function}.py"
            new.writestr(name, content + TAKES_OVER.encode() if is_here else content)
        new.writestr(BROKEN, module.read_bytes())
    content = changed.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    return msgspec.structs.replace(package, content=content, digest=digest)
