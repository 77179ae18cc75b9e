"""The embedded engine's runbook: every command in it, in its order, in folders of its own."""

import re
from pathlib import Path

import pytest

from internal.infra.data_folder import files
from internal.infra.sqlite import meaning
from tests.acceptance import test_operations
from tests.support import runbook

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "operations-embedded.md"


@pytest.mark.slow
def test_every_command_does_what_the_runbook_says(tmp_path: Path) -> None:
    environment = {
        **test_operations.environment_of(),
        "DATA": str(tmp_path / "data"),
        "BACKUPS": str(tmp_path / "backups"),
    }
    with runbook.Shell.opened(ROOT, environment) as shell:
        runbook.follow(RUNBOOK, shell)
    assert (tmp_path / "data" / files.DATABASE).is_file()


def test_every_reference_leads_somewhere() -> None:
    text = RUNBOOK.read_text()
    anchors = test_operations.anchors(text)
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors
    page, _, anchor = meaning.RUNBOOK.partition("#")
    assert (ROOT / page, anchor in anchors) == (RUNBOOK, True)
