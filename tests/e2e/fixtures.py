"""What every Python test stands on: the `account` command of this environment and a clean one."""

import os
import pathlib

import harness
import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """No ACCOUNT_* or rank variable of the caller reaches a test; runs go under its own folder."""
    for name in list(os.environ):
        if name.startswith(("ACCOUNT", "TORCHELASTIC", "SLURM_")) or name in harness.RANK_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("ACCOUNT_DIR", str(tmp_path / "account"))
    for name, value in harness.QUIET_MACHINE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def account() -> harness.Account:
    return harness.Account()
