"""Measures Souk on this machine. See scripts/bench."""

import sys
from pathlib import Path

from internal.deploy import deploy
from internal.lab.bench import command
from internal.lab.bench.full import site as full_site
from internal.stack import ports, stack


def _make_stack(folder: Path) -> stack.Stack:
    return stack.Stack(folder, ports.FREE)


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    places = command.Places(
        root / ".cache",
        full_site.Provisioning(
            _make_stack, deploy.deploy, root / "scripts" / "bench_peers" / "plain_functions.py"
        ),
    )
    sys.exit(command.main(sys.argv[1:], places))
