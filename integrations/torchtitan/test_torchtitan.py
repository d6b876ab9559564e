"""torchtitan's own trainer under `account run`: example.py, which knows nothing of libaccount."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import harness
import pytest
import trainers
from authority import Authority

FOLDER = pathlib.Path(__file__).resolve().parent
EPOCH = 20  # steps
BATCHES = 2 * EPOCH


@pytest.fixture(scope="module")
def example(digits):
    """torchtitan.train, with the CPU for its device."""
    return trainers.Example(FOLDER / "example_on_cpu.py", digits)


def test_it_counts_what_a_peer_counts_and_tells_validation_apart(account, example, tmp_path, bare):
    matrices, optimizer_steps = example.peer(tmp_path)
    example.counted(account, tmp_path / "counted")
    assert trainers.losses(tmp_path / "counted") == bare
    report = account.verify(tmp_path / "account/r")
    # The peer knows no attention on the CPU: two products forward, five backward (scores again), of
    # 16 rows of 64 words of 32 values, in two layers, on two ranks.
    product = 2 * 16 * 64 * 64 * 32 * 2 * 2
    evaluations = 3 * 2  # behind steps 1, 20 and 40
    attention = (2 * (BATCHES + evaluations) + 5 * BATCHES) * product
    assert int(report["operations"]) == matrices + attention
    assert report["gaps"] == [] and report["uncounted"] == []
    assert report["steps"] == BATCHES
    assert optimizer_steps == 2 * BATCHES  # of torchtitan's container, and of the optimizer in it
    assert set(report["by_category"]) == {"train", "evaluate"}
    checkpoints = tmp_path / "counted/checkpoint"
    assert (checkpoints / f"step-{EPOCH}.account.json").exists()
    record = account.verify(checkpoints / f"step-{BATCHES}")
    assert record["ok"] is True
    assert record["weights_checked"] is True
    assert record["kind"] == "pretraining"
    last = int(report["by_category"]["evaluate"]) // 3  # of the three, behind the last save
    assert int(record["runs"][0]["executed"]) == int(report["operations"]) - last


def test_after_a_stop_it_goes_on_from_the_checkpoint_that_was_whole(
        account, example, tmp_path, bare):
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)
    said = account("order", "why", tmp_path / "again/account/r").stdout
    assert f"wrote in plain, by its ledger: step-{EPOCH} (step {EPOCH})" in said


def by_hand(account, folder: pathlib.Path, digits: pathlib.Path, mode: str) -> list[str]:
    """A trainer that is attached in a script, saves at each step and keeps two; stopped."""
    authority = Authority(account, folder)
    code = f"""
import os, sys
os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1",
                  MASTER_PORT="0", DIGITS={str(digits)!r})
sys.path.insert(0, {str(FOLDER)!r})
import example_on_cpu
example_on_cpu.stand_in()
import example, libaccount
config = example.digits()
config.dump_folder = {str(folder)!r}
config.training.steps = 100000
config.checkpoint.interval, config.checkpoint.keep_latest_k = 1, 2
config.checkpoint.async_mode = {mode!r}
trainer = config.build()
run = libaccount.attach(trainer, dir={str(folder / "account")!r}, run="r",
                        authority={str(authority.path)!r})
assert libaccount.attach(trainer) is run
step = trainer.train_step
def told(batches):
    step(batches)
    print("step", trainer.step, flush=True)
trainer.train_step = told
try:
    trainer.train()
except libaccount.ShutdownOrdered:
    print("stopped at", trainer.step, "after", run.totals().steps, flush=True)
print("saved:", trainer.checkpointer.save(trainer.step), flush=True)
"""
    with (folder / "stderr").open("w") as stderr, subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, text=True,
            env=os.environ | harness.QUIET_MACHINE) as process:
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if line == "step 5\n":
                authority.stop("r")
    assert process.returncode == 0, (folder / "stderr").read_text()
    return said


@pytest.mark.parametrize("mode", ["disabled", "async"])
def test_a_trainer_attached_by_hand_stops_and_keeps_as_many_checkpoints_as_it_was_told(
        account, digits, tmp_path, mode):
    said = by_hand(account, tmp_path, digits, mode)
    *_, stopped, saved = said
    step = int(stopped.split()[2])
    assert stopped == f"stopped at {step} after {step}"
    assert saved == "saved: False"
    folders = sorted(path for path in (tmp_path / "checkpoint").iterdir() if path.is_dir())
    steps = sorted(int(path.name.removeprefix("step-")) for path in folders)
    assert steps[-1] < step
    assert len(steps) == 2 if mode == "disabled" else len(steps) in (2, 3)
    for path in folders:
        assert (path / ".metadata").exists(), "half a checkpoint"
    sidecars = {path.name for path in (tmp_path / "checkpoint").glob("*.account.json")}
    assert f"step-{steps[-1]}.account.json" in sidecars
    ledgers = (tmp_path / "account/r").glob("node-*/ledger/*.jsonl")
    assert '"llama3 digits"' in "".join(path.read_text() for path in ledgers)


def test_where_the_names_are_others_it_says_so_and_training_goes_on(
        account, digits, tmp_path, bare):
    """torchtitan itself, with other names for what is hooked."""
    (installed,) = importlib.util.find_spec("torchtitan").submodule_search_locations
    shutil.copytree(installed, tmp_path / "other/torchtitan")
    for path in (tmp_path / "other").rglob("*.py"):
        text = path.read_text()
        for name in ("train_step", "_should_save", "dcp_save", "dcp_load"):
            text = text.replace(f"{name}(", f"{name}_of_another_version(")
        path.write_text(text)
    other = trainers.Example(FOLDER / "example_on_cpu.py", digits,
                             PYTHONPATH=str(tmp_path / "other"))
    said = other.counted(account, tmp_path / "counted")
    for name, without in (("train_step", "a step is the first optimizer's"),
                          ("_should_save", "a refused save raises ExportDenied"),
                          ("dcp_save", "checkpoints link no runs"),
                          ("dcp_load", "checkpoints link no runs")):
        told = f"torchtitan has no {name}() where libaccount looks for it: {without}"
        assert said.count(told) == 1, said
    assert trainers.losses(tmp_path / "counted") == bare
    assert account.verify(tmp_path / "account/r")["steps"] == BATCHES
