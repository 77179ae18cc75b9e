"""The command line: its options, output and exit codes. The commands stand in `commands`."""
