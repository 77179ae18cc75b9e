"""Submits varied orders to a running server, shows what became of them: scripts/start --demo."""

import os
import sys

from internal.load import demo_command

if __name__ == "__main__":
    sys.exit(demo_command.main(sys.argv[1:], os.environ))
