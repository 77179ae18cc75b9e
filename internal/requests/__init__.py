"""Requests: what makes a repeated command harmless."""
