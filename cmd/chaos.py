"""Breaks a full engine in every way, and counts its orders. See scripts/chaos."""

import sys
from pathlib import Path

from internal.lab.chaos import command

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    sys.exit(command.main(sys.argv[1:], root / ".cache", root / "tests" / "acceptance"))
