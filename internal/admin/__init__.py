"""The command line and what operators do with it."""
