"""internal/wire must be what `scripts/proto generate` makes of proto/ today."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIRE = ROOT / "internal" / "wire"


def contents(folder: Path) -> dict[str, str]:
    """Return the text of every Python file and stub below `folder`, by its relative path."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*.py*")
        if path.suffix != ".pyc"
    }


def test_generated_code_matches_proto(tmp_path: Path) -> None:
    """A .proto was changed without `scripts/proto generate`, or internal/wire by hand."""
    out = tmp_path / "wire"
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "proto", "generate", "--out", out], check=True
    )
    assert contents(out) == contents(WIRE)
