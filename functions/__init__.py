"""The three Pulsar Functions, one class a file."""
