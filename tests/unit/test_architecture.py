"""The import contracts of pyproject.toml are shown to break: on a small tree with one bad import.

`scripts/check imports` runs the same contracts over the true tree.
"""

import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = str(Path(sysconfig.get_path("scripts")) / "lint-imports")
IMPORTLINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
NAMES = {contract["name"] for contract in IMPORTLINTER["contracts"]}
STAIRS, FUNCTIONS, TOOLS, AROUND, DEPLOY, NOUNS, PURE, PULSAR, CYCLES, COMMON, METHODS = (
    c["name"] for c in IMPORTLINTER["contracts"]
)

HARMLESS = {
    "functions/finalization.py": "from internal.pipeline import runner",
    "internal/host/engine.py": "from functions import finalization\nimport internal.api.server",
    "internal/api/server.py": "import grpc\nfrom internal.api.orders import service",
    "internal/api/status.py": "from internal.kernel import ids",
    "internal/api/orders/service.py": "import internal.api.status\nimport internal.flow.topics",
    "internal/flow/topics.py": "from internal.orders import messages",
    "internal/kernel/dice.py": "import random",
    "internal/kernel/ids.py": "import secrets",
    "internal/orders/messages.py": "import msgspec",
    "internal/orders/rules.py": "from internal.kernel import ids\nimport internal.orders.messages",
    "internal/orders/store.py": "import sqlalchemy\nfrom internal.infra import bulk",
    "internal/infra/bulk.py": "import json",
    "internal/pipeline/runner.py": "import pulsar\nfrom internal.kernel import ids",
}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree of Souk's rooms with next to nothing in them, under Souk's contracts."""
    tree = tmp_path_factory.mktemp("rooms")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in [p for top in ("functions", "internal") for p in (ROOT / top).glob("**/")]:
        if (package / "__init__.py").exists():
            (tree / package.relative_to(ROOT)).mkdir(parents=True)
            (tree / package.relative_to(ROOT) / "__init__.py").touch()
    for name in named_modules():
        module = tree / (name.replace(".", "/") + ".py")
        if not module.with_suffix("").is_dir():
            module.touch()
    for path, text in HARMLESS.items():
        (tree / path).write_text(text + "\n")
    return tree


def named_modules() -> set[str]:
    """Return the modules that contracts name as sources: the linter wants them to exist."""
    named: set[str] = set()
    for contract in IMPORTLINTER["contracts"]:
        named.update(name for name in contract.get("source_modules", ()) if "*" not in name)
    return named


def broken_contracts(tree: Path) -> set[str]:
    """Return the names of the contracts that the linter calls broken."""
    command = [LINTER, "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True)
    broken = {name for name in NAMES if f"{name} BROKEN" in " ".join(run.stdout.split())}
    assert (run.returncode != 0) == bool(broken), run.stdout + run.stderr
    return broken


def test_harmless_tree_breaks_none(rooms: Path) -> None:
    assert broken_contracts(rooms) == set()


@pytest.mark.parametrize(
    ("path", "text", "broken"),
    [
        ("internal/kernel/upstairs.py", "from internal.infra import bulk", {STAIRS}),
        ("internal/pricing/sideways.py", "import internal.ledger", {STAIRS}),
        ("internal/newroom.py", "", {STAIRS}),
        ("internal/pipeline/upstairs.py", "import functions", {FUNCTIONS}),
        ("internal/api/sideways.py", "import functions", {TOOLS}),
        ("internal/pipeline/sideways.py", "import internal.ledger", {NOUNS}),
        ("internal/orders/upstairs.py", "import internal.pipeline", {STAIRS}),
        ("internal/host/upstairs.py", "import internal.lab", {STAIRS, FUNCTIONS}),
        ("functions/sideways.py", "import internal.api", {TOOLS}),
        ("functions/sideways.py", "import internal.client", {AROUND}),
        ("internal/deploy/planning.py", "import functions.finalization", {DEPLOY}),
        ("internal/api/calls.py", "import grpc_status", {COMMON}),
        ("internal/api/middleware.py", "import internal.views", {COMMON}),
        ("internal/api/orders/watch.py", "import grpc", {METHODS}),
        ("internal/ledger/rules.py", "import time", {PURE}),
        ("internal/ledger/messages.py", "import sqlalchemy.orm", {PURE}),
        ("internal/checks/rules.py", "from internal.orders import store", {PURE}),
        ("internal/auth/rules.py", "from internal.kernel import dice", {PURE}),
        ("internal/infra/broker.py", "import pulsar", {PULSAR}),
        ("functions/naive.py", "from pulsar import Function", {PULSAR}),
        ("internal/orders/store.py", "from internal.orders import rules", set()),
        ("internal/orders/messages.py", "from internal.orders import rules", {CYCLES}),
    ],
)
def test_bad_import_breaks_its_contract(
    rooms: Path, tmp_path: Path, path: str, text: str, broken: set[str]
) -> None:
    tree = shutil.copytree(rooms, tmp_path / "tree")
    (tree / path).write_text(text + "\n")
    assert broken_contracts(tree) == broken
