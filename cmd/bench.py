"""Measures Souk on this machine. See scripts/bench."""

import sys
from pathlib import Path

from internal.load import bench_command, full_site
from internal.stack import deploy, ports, stack


def _make_stack(folder: Path) -> stack.Stack:
    return stack.Stack(folder, ports.FREE)


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    places = bench_command.Places(
        full_site.Scripts(
            root / "cmd" / "start.py", root / "scripts" / "bench_peers" / "plain_functions.py"
        ),
        root / ".cache",
        full_site.Ground(_make_stack, deploy.deploy),
    )
    sys.exit(bench_command.main(sys.argv[1:], places))
