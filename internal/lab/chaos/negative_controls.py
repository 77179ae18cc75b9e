"""Negative controls: functions that are broken on purpose must fail the checks that real ones pass.

What is wrong with each is a module that the caller has; it is put into a wheel of its own, and no
other wheel holds it.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from internal.deploy import wheel
from internal.flow import topics
from internal.lab.chaos import faults, target, trial
from internal.lab.workload import scenarios
from internal.lab.workload.scenarios import Kind
from internal.stack import stack

BROKEN = "internal/broken.py"
TAKES_OVER = "\nfrom internal import broken  # noqa: E402\n\nbroken.take_over()\n"
SOON_S = 5.0
"""What has not ended by then is stuck: nobody drives it on."""
KILLS = 3
NO_JANITOR: Mapping[str, str] = {"SOUK_JANITOR__INTERVAL_S": "600"}


class Control(msgspec.Struct, frozen=True):
    """A way to break Souk, what it is bad at, and what must be found."""

    name: str
    module: str
    """What is wrong; has a function `take_over`."""
    function: str
    fault: faults.Fault
    invariant: str
    sentence: str
    mix: scenarios.Mix = {}
    quiet_within_s: float = trial.QUIET_WITHIN_S
    door: Mapping[str, str] = {}
    """Settings of the intake, on top of the usual ones."""

    def is_found(self, result: trial.Result) -> bool:
        """Tell whether the check has failed as it must."""
        return self.sentence in result.sentences(self.invariant)


class Nothing(msgspec.Struct, frozen=True):
    """No fault: what is broken shows by itself."""

    name: str = "nothing"

    async def strike(self, at: target.Ground) -> faults.Fired:
        """See faults.Fault."""
        if at.crew:
            await at.crew.answered(trial.FLOWS_AFTER * 5)
        return {}

    def missing(self, fired: faults.Fired) -> list[str]:
        """See faults.Fault."""
        del fired
        return []


def all_controls(seed: int) -> list[Control]:
    """Return every way to break it."""
    after_commit, after_send = f"{topics.PAYMENT.name}.after_commit", "gateway.after_send"
    return [
        Control(
            "control: without repeating facts",
            "unrepeated",
            topics.PAYMENT.name,
            faults.Failpoints("kill after commit", KILLS, (after_commit,), seed),
            "I1",
            "an order that was answered OK comes to its end",
            quiet_within_s=SOON_S,
            door=NO_JANITOR,
        ),
        Control(
            "control: without a memory of attempts",
            "unclaimed",
            topics.PAYMENT.name,
            faults.Failpoints("kill after send", KILLS, (after_send,), seed),
            "I3",
            "the gateway captured a tender once at most",
        ),
        Control(
            "control: without the guard of the stock",
            "unguarded",
            topics.ORDER.name,
            Nothing(),
            "I7",
            "a good order is never put aside",
            mix={Kind.SCARCE: 300},
            quiet_within_s=SOON_S,
        ),
    ]


def chosen(seed: int, only: Sequence[str]) -> list[Control]:
    """Return the controls whose names hold one of `only`; all of them without."""
    wanted = all_controls(seed)
    return [it for it in wanted if not only or any(word in it.name for word in only)]


async def run(
    of: stack.Stack, control: Control, package: wheel.Wheel, broken: Path, seed: int
) -> trial.Result:
    """Try broken functions, on books and topics of their own; nothing of them is left behind.

    Args:
        of: a stack that is up, with no functions on it.
        control: what is tried.
        package: a good wheel.
        broken: the folder with the broken modules.
        seed: makes the orders.
    """
    plan = trial.Plan(
        control.fault, seed, control.quiet_within_s, control.mix or trial.MIX, control.name
    )
    await target.clear(of)
    try:
        bad = spoiled(package, broken / f"{control.module}.py", control.function)
        async with target.opened(of, bad, 1, control.door) as at:
            return await trial.run(at, plan)
    finally:
        await target.clear(of)


def spoiled(package: wheel.Wheel, module: Path, function: str) -> wheel.Wheel:
    """Return a wheel whose function lets a module take over."""
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
