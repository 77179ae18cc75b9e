"""Reports for people: one file each, found by the registry."""
