"""What every test run begins with: Hypothesis in no hurry, and the same cases at each quick run."""

from tests.support import profiles

profiles.load()
