"""The runbook, docs/operations.md: every command in it, in its order, on a stack of its own.

It needs its own stack because it kills the database, changes its password and stops everything.
What the runbook leaves behind is good enough for the demo.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from internal.deploy import wheel
from internal.lab.demo import scenes
from internal.stack import ports
from tests.support import runbook
from tests.support import stack as stacks

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "operations.md"
ALERTS = ROOT / "configs" / "prometheus" / "alerts.yml"
OLD, NEW = "0.1.0", "0.2.0"
COLUMNS = "110"
"""As wide as the document's pages."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases: this checkout, and the same with one more file."""
    folder = tmp_path_factory.mktemp("wheels")
    package = wheel.build()
    old = folder / package.name
    old.write_bytes(package.content)
    assert OLD in old.name
    new = folder / old.name.replace(OLD, NEW)
    shutil.copy(old, new)
    with zipfile.ZipFile(new, "a") as opened:
        opened.writestr("internal/release.txt", NEW)
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Running]:
    """A stack that only this file uses."""
    with stacks.running(tmp_path_factory.mktemp("operations")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(2_400)
def test_every_command_does_what_the_runbook_says(running: stacks.Running, wheels: Path) -> None:
    with runbook.Shell.opened(ROOT, environment(running, wheels)) as shell:
        runbook.follow(RUNBOOK, shell)


@pytest.mark.slow
def test_demo_shows_the_same_as_on_the_embedded_engine(
    running: stacks.Running, tmp_path: Path
) -> None:
    figures = tmp_path / "demo.json"
    start = (sys.executable, str(ROOT / "cmd" / "start.py"), "--full", "--demo", "100")
    ended = subprocess.run(
        [*start, "--data", str(running.folder), "--json", str(figures)],
        env=environment_of(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    played = {scene["name"]: scene["values"] for scene in json.loads(figures.read_text())["scenes"]}
    right = {scene.name: msgspec.to_builtins(scene.right) for scene in scenes.SCENES}
    assert played == json.loads(json.dumps(right))


def environment(running: stacks.Running, wheels: Path) -> dict[str, str]:
    """Return the environment of the runbook's reader: only folders, ports and addresses."""
    return {**environment_of(), "STACK": str(running.folder), "WHEELS": str(wheels)}


def environment_of() -> dict[str, str]:
    """Return the environment of any runbook's reader: ports and addresses."""
    intake, metrics = free_ports(2)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SOUK_")},
        "COLUMNS": COLUMNS,
        "SOUK_INTAKE__PORT": str(intake),
        "SOUK_METRICS__PORT": str(metrics),
        "SOUK_TARGET": f"{ports.HOST}:{intake}",
    }


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens now."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.create_server((ports.HOST, 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in found]


def test_every_alert_has_its_place_in_the_runbook() -> None:
    wanted = re.findall(r"docs/operations\.md#([\w-]+)", ALERTS.read_text())
    assert wanted
    assert set(wanted) <= anchors(RUNBOOK.read_text())


def test_every_reference_within_the_runbook_leads_somewhere() -> None:
    text = RUNBOOK.read_text()
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors(text)


def anchors(document: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestReading:
    """How the runbook is parsed."""

    DOCUMENT = "text\n```console\n$ one\n> two\nsaid\n$ three\n```\n```sh\n$ not this\n```\n"

    def test_commands_are_those_of_the_console_blocks(self) -> None:
        assert runbook.steps(self.DOCUMENT) == [
            runbook.Step(3, "one\ntwo", ["said"]),
            runbook.Step(6, "three", []),
        ]

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            (["a … c"], "a b c\n"),
            (["…", "last"], "1\n2\nlast\n"),
            (["…"], ""),
            ([" a   b"], "a b   \n\n"),
            (["a", "───"], "a\n──────\n"),
        ],
    )
    def test_matching_output(self, said: list[str], text: str) -> None:
        assert runbook.is_as_said(said, text)

    @pytest.mark.parametrize(
        ("said", "text"),
        [([], "something\n"), (["a"], ""), (["a"], "a\nb\n"), (["a.c"], "abc\n")],
    )
    def test_other_output(self, said: list[str], text: str) -> None:
        assert not runbook.is_as_said(said, text)
