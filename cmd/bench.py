"""Measures Souk on this machine. See scripts/bench."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from internal.console import lazy_modules
from internal.lab.bench import command

if TYPE_CHECKING:
    from internal.deploy import deploy
    from internal.lab.bench.full import site as full_site
    from internal.stack import ports, stack
else:
    deploy = lazy_modules.lazy("internal.deploy.deploy")
    full_site = lazy_modules.lazy("internal.lab.bench.full.site")
    ports = lazy_modules.lazy("internal.stack.ports")
    stack = lazy_modules.lazy("internal.stack.stack")

ROOT = Path(__file__).resolve().parents[1]


def _make_stack(folder: Path) -> stack.Stack:
    return stack.Stack(folder, ports.FREE)


def _places() -> command.Places:
    plain_functions = ROOT / "scripts" / "bench_peers" / "plain_functions.py"
    provisioning = full_site.Provisioning(_make_stack, deploy.deploy, plain_functions)
    return command.Places(ROOT, ROOT / ".cache", provisioning)


if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:], _places))
