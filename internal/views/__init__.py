"""Read models that span packages: a whole order, and its timeline for support staff."""
