"""Measures Souk on this machine. See scripts/bench."""

import sys
from pathlib import Path

from internal.load import bench_command

if __name__ == "__main__":
    here = Path(__file__).resolve()
    sys.exit(
        bench_command.main(sys.argv[1:], here.with_name("start.py"), here.parents[1] / ".cache")
    )
