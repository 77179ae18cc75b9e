"""Runs a command line of Pulsar or the database, on Souk's servers. See scripts/pulsar-admin."""

import sys

from internal.stack import tools

if __name__ == "__main__":
    tools.main(sys.argv[1], sys.argv[2:])
