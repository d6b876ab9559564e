"""For all tests in here."""

import slurm
from fixtures import account, clean_environment

__all__ = ["account", "clean_environment"]

# No test is skipped: what cannot run here is not collected.
collect_ignore = ["e2e/test_slurm.py"] if slurm.why_not() else []
