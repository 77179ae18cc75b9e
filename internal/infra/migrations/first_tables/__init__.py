"""The tables of the first revision, frozen as they were made then."""
