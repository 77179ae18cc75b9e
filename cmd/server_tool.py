"""Runs a command line of Pulsar or the database, on Souk's servers. See scripts/pulsar-admin."""

import sys

from internal.deploy import client_tools

if __name__ == "__main__":
    client_tools.main(sys.argv[1], sys.argv[2:])
