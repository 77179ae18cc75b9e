"""Scripted load runs against any target."""
