"""Starts an engine: migrates, seeds the demo shop, serves until Ctrl-C, drains.

See scripts/start.
"""

import sys
from pathlib import Path

from internal.host import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:], Path(__file__).with_name("demo.py")))
