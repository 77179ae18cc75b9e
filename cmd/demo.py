"""Submits varied orders to a running server, shows what became of them: scripts/start --demo."""

import sys

from internal.lab.demo import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
