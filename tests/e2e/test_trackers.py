"""The experiment trackers that a job uses hold the job's total; no other is ever imported."""

import json
import re
import sys

import documented
import harness
import pytest

JOB = str(harness.JOBS / "tracked.py")


def run(account, tmp_path, tracker: str, *words: str, **environment: str) -> tuple[dict, str]:
    """What the tracker holds, and all that was printed."""
    folder = tmp_path / "tracker"
    folder.mkdir()
    said = harness.run_job(
        account.run_command("--run", "r", "--policy", "us-ca-sb1047-enrolled",
                            command=[sys.executable, JOB, tracker, str(folder), *words]),
        tmp_path / "log", ACCOUNT_TRACK_SECONDS="0", TRACKIO_DIR=str(tmp_path / "trackio"),
        MLFLOW_ALLOW_FILE_STORE="true", WANDB_SILENT="true", **environment)
    (line,) = (line for line in said.splitlines() if line.startswith('{"scalars"'))
    return json.loads(line), said


@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow", "trackio", "wandb"])
def test_a_tracker_holds_the_total(account, tmp_path, tracker):
    held, _ = run(account, tmp_path, tracker)
    counted = account.verify(tmp_path / "account/r")["operations"]
    assert held["exact"] == counted
    scalars = held["scalars"]
    assert scalars["account/operations_total"] == pytest.approx(int(counted))
    assert scalars["account/threshold_ratio"] == pytest.approx(int(counted) / 3e25)
    assert scalars["account/steps"] >= 4
    assert scalars["account/operations_per_sec"] >= 0
    assert "loss" in scalars  # the job's own
    assert held.get("rows", 5) == 5  # W&B counts the rows that the job committed, and no other


def test_opentelemetry_counts_in_whole_numbers(account, tmp_path):
    held, _ = run(account, tmp_path, "opentelemetry")
    counted = account.verify(tmp_path / "account/r")["operations"]
    assert held["exact"] == counted
    assert held["scalars"]["account.threshold.ratio"] == pytest.approx(int(counted) / 3e25)


def test_what_is_taken_in_stands_beside_it(account, tmp_path):
    held, _ = run(account, tmp_path, "tensorboard", "--says")
    assert held["scalars"]["account/samples_total"] == 4 * 8
    assert held["scalars"]["account/tokens_total"] == 4 * 512
    assert held["scalars"]["account/tokens_per_sec"] >= 0


def test_opentelemetry_counts_tokens(account, tmp_path):
    held, _ = run(account, tmp_path, "opentelemetry", "--says")
    assert held["scalars"]["account.tokens"] == 4 * 512


def test_a_tracker_that_raises_costs_one_line(account, tmp_path):
    held, said = run(account, tmp_path, "tensorboard", "--breaks")
    assert said.count("tensorboard took no numbers (the disk is full)") == 1
    assert held["exact"] is None
    assert "loss" in held["scalars"]
    assert account.verify(tmp_path / "account/r")["ok"] is True


def test_one_that_cannot_even_be_asked_costs_one_line(account, tmp_path):
    _, said = run(account, tmp_path, "opentelemetry", "--breaks")
    assert said.count("opentelemetry took no numbers (no such meter)") == 1
    assert account.verify(tmp_path / "account/r")["steps"] == 5


def test_the_page_asks_in_python_as_it_says(account, tmp_path):
    (code,) = documented.blocks(harness.ROOT / "docs/watch_a_run.md", "python")
    work = ("import time, torch, libaccount\ntorch.ones(2, 2) @ torch.ones(2, 2)\n"
            "libaccount.start().step()\ntime.sleep(2.5)\n")
    said = harness.run_job(
        account.run_command("--run", "r", command=[sys.executable, "-c", work + code]),
        tmp_path / "log")
    assert "\n16 operations in 1 steps, 1.6e-24 of eu-aia-51" in said


def test_nothing_is_imported_that_the_job_has_not(account, tmp_path):
    code = ("import sys, torch\n"
            "torch.ones(2, 2) @ torch.ones(2, 2)\n"
            "import libaccount\n"
            "libaccount.start().step()\n"
            "print(sorted({'wandb', 'mlflow', 'trackio', 'tensorboard', 'opentelemetry'}"
            " & set(sys.modules)))\n")
    said = harness.run_job(account.run_command("--run", "r", command=[sys.executable, "-c", code]),
                           tmp_path / "log", ACCOUNT_TRACK_SECONDS="0")
    assert "\n[]\n" in f"\n{said}"


def test_status_is_shown_again_every_second_from_another_terminal(account, tmp_path):
    code = ("import time, torch, libaccount\nrun = libaccount.start()\n"
            "while True:\n  torch.ones(64, 64) @ torch.ones(64, 64); run.step(); time.sleep(0.01)")
    with harness.Job(account.run_command("--run", "r", command=[sys.executable, "-c", code]),
                     tmp_path / "log"):
        harness.wait_until("the job to count", lambda: [
            live for live in account.live(tmp_path / "account") if live["operations_per_second"]
            not in ("0", 0)])
        with harness.Job([account.path, "status", "r", "--watch"], tmp_path / "watch") as watch:
            harness.wait_until("three looks", lambda: watch.output().count("r  running") >= 3)
            watch.process.send_signal(2)
            watch.wait(-2)
    shown = watch.output()
    totals = re.findall(r"step \d+, (\d+) operations", shown)
    assert len(set(totals)) >= 2  # it is looked at again, not only said again
    assert "until it is reached" in shown
