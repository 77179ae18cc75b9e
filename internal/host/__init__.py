"""The engine's process: the API server, and embedded also the broker and the functions."""
