"""The toolkit of all command lines: options, output, errors as text, exit codes."""
