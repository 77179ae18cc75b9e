"""Reports for people: one module each, found by the registry."""
