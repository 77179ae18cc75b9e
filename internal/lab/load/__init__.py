"""Scripted load runs against any server."""
