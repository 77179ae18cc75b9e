"""What every command line of this repository is made of: options, output, errors, exit codes."""
