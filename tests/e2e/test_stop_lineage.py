"""A stopped run's weights are known again, whoever loads them, by sidecar or record."""

import os
import signal
import sys

import harness
import pytest
from test_stop_ranks import MANY, authority, ledger_lines  # noqa: F401 (a fixture)

PROGRAM = [sys.executable, str(harness.JOBS / "loads_weights.py")]


@pytest.fixture
def checkpoint(account, authority, tmp_path):  # noqa: F811
    """Of a run that was stopped after it; under another name than it had there."""
    command = account.run_command(
        "--run", "first", "--authority", authority.path, "--dir", tmp_path / "account",
        command=[*PROGRAM, "--steps", str(MANY), "--keep", str(tmp_path / "kept.pt")])
    with harness.Job(command, tmp_path / "log") as training:
        harness.wait_until("a checkpoint", (tmp_path / "moved.pt.account.json").exists)
        authority.stop("job:first")
        training.wait(86)
    return tmp_path / "moved.pt"


def run_as(account, authority, tmp_path, name, *words, options=(), expect=0):  # noqa: F811
    command = account.run_command("--run", name, "--authority", authority.path, "--dir",
                                  tmp_path / "account", *options,
                                  command=[*PROGRAM, *map(str, words)])
    return harness.run_job(command, tmp_path / f"log-{name}", expect=expect)


def test_going_on_from_it_under_another_name_is_refused(account, authority, checkpoint,  # noqa: F811
                                                        tmp_path):
    said = run_as(account, authority, tmp_path, "second", options=("--resume", checkpoint),
                  expect=86)
    assert "the weights of run first" in said
    said = account("may-start", "--run", "second", "--authority", authority.path, "--resume",
                   checkpoint, expect=86).stderr
    assert "the weights of run first" in said


def test_who_loads_it_without_a_word_is_stopped(account, authority, checkpoint,  # noqa: F811
                                                tmp_path):
    said = run_as(account, authority, tmp_path, "quiet", "--load", checkpoint, "--steps", MANY,
                  expect=86)
    assert "the weights of run first" in said
    # With another name for its model, and weights of its own: another job.
    run_as(account, authority, tmp_path, "other", "--steps", 5)


def test_it_may_be_loaded_once_the_stop_is_lifted(account, authority, checkpoint,  # noqa: F811
                                                  tmp_path):
    order, = (path.stem for path in (authority.path / "orders").glob("*.json"))
    authority.lift(order, "ann", "cid")
    run_as(account, authority, tmp_path, "second", "--load", checkpoint,
           options=("--resume", checkpoint))
    loaded = [line for line in ledger_lines(tmp_path / "account/second")
              if line.get("kind") == "loaded"]
    assert loaded and all(line["runs"] == ["first"] for line in loaded)


def test_a_keeper_comes_anew_though_the_checkpoint_is_gone_by_then(account, authority,  # noqa: F811
                                                                   tmp_path):
    kept, runs = tmp_path / "kept.pt", tmp_path / "account"
    harness.run_job(account.run_command("--run", "before", "--dir", runs,
                                        command=[*PROGRAM, "--keep", str(kept)]),
                    tmp_path / "log-before")
    checkpoint = tmp_path / "moved.pt"
    with harness.Job([*PROGRAM, "--steps", str(MANY)], tmp_path / "log", ACCOUNT_DIR=str(runs),
                     ACCOUNT_RUN="after", ACCOUNT_RESUME=str(checkpoint),
                     ACCOUNT_AUTHORITY=str(authority.path)) as training:
        def keeper() -> int:
            live = [run for run in account.live(runs) if run["run"] == "after"]
            return live[0]["keeper_pid"] if live and live[0]["steps"] > 0 else 0

        first = harness.wait_until("its keeper", keeper)
        for path in tmp_path.glob("moved.pt*"):
            path.unlink()
        os.kill(first, signal.SIGKILL)
        harness.wait_until("another keeper", lambda: keeper() not in (0, first))
        authority.stop("job:after")
        training.wait(86)
