"""A DeepSpeed loop under `account run`: example.py, which knows nothing of libaccount."""

import functools
import json
import pathlib
import subprocess
import sys

import harness
import pytest
import trainers
from authority import Authority

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.py"
EPOCH = 20  # batches a rank; gradients of two make a step


@pytest.fixture(scope="module")
def make(digits):
    def example(zero: int) -> trainers.Example:
        return trainers.Example(EXAMPLE, digits, "--zero", zero, DS_ACCELERATOR="cpu")
    return example


@pytest.fixture(scope="module")
def bare(make, tmp_path_factory):
    @functools.cache
    def losses(zero: int) -> list[str]:
        without_us = make(zero).bare(tmp_path_factory.mktemp("bare"))
        assert len(set(without_us)) == len(without_us) == 2 * EPOCH
        return without_us
    return losses


@pytest.mark.parametrize("zero", [0, 3])
def test_it_counts_what_a_peer_counts(account, make, tmp_path, zero):
    example = make(zero)
    report = trainers.check_counting(account, example, tmp_path)
    assert len(set(trainers.losses(tmp_path / "peer"))) == 2 * EPOCH
    assert report["steps"] == EPOCH
    assert report["samples"] == str(2 * EPOCH * 2 * 16)  # ranks, steps, accumulated batches, rows
    assert (tmp_path / f"counted/state/global_step{EPOCH}.account.json").exists()
    if zero < 3:  # of ZeRO 3 only what DeepSpeed is configured for is gathered
        record = account.verify(tmp_path / "counted/final/model.bin")
        assert record["ok"] is True
        assert record["weights_checked"] is True
        assert record["runs"][0]["executed"] == report["operations"]


@pytest.mark.parametrize("zero", [2, 3])
def test_after_a_stop_it_goes_on_by_itself_from_the_very_step(account, make, bare, tmp_path, zero):
    authority = Authority(account, tmp_path, recovery=("safe",))
    output = tmp_path / "stopped"
    cut = trainers.stop_lift_and_go_on(account, authority, make(zero), output, EPOCH + 3)
    assert EPOCH < len(cut) < 2 * EPOCH and len(cut) % 2 == 0
    assert trainers.losses(output) == bare(zero)
    (folder,) = (tmp_path / "account/r/locked").iterdir()
    assert {path.name for path in folder.glob("*.locked")} == {"rank-0.locked", "rank-1.locked"}


def test_where_nothing_is_saved_it_goes_on_from_the_checkpoint_that_was_whole(
        account, make, bare, tmp_path):
    trainers.stop_and_go_on_from_a_checkpoint(account, make(2), tmp_path / "again", bare(2), EPOCH)


def test_what_ranks_hold_is_put_back_to_the_bit(tmp_path):
    command = harness.two_ranks(pathlib.Path(__file__).parent / "example_put_back.py", tmp_path)
    harness.run_job(command, tmp_path / "log", ACCOUNT="off", DS_ACCELERATOR="cpu")
    said = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in range(2)]
    assert [case["case"] for case in said[0]] == [
        "ZeRO 0", "ZeRO 1", "ZeRO 2", "ZeRO 3", "ZeRO 0, bf16", "ZeRO 2, bf16", "ZeRO 3, bf16"]
    for case in said[0] + said[1]:
        assert case["losses"] == case["again"] != [], case["case"]
        assert len(set(case["losses"])) == len(case["losses"])
        assert case["refused"].startswith(f"the state of {case['case'].split(',')[0]}, ")
    # What ranks hold apart is saved by each, what all hold by one.
    for ours, theirs in zip(*said, strict=True):
        assert ours["weights"] > theirs["weights"] or ours["case"].startswith("ZeRO 3")


def test_a_save_is_refused_before_it_writes_anything_and_the_stop_says_what_it_cannot_save(
        account, tmp_path):
    authority = Authority(account, tmp_path, recovery=("safe",))
    code = f"""
import os, pathlib, torch
os.environ.update(DS_ACCELERATOR="cpu", RANK="0", WORLD_SIZE="1", LOCAL_RANK="0",
                  MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
import deepspeed, libaccount
run = libaccount.start(dir={str(tmp_path / "account")!r}, run="r",
                       authority={str(authority.path)!r})
deepspeed.init_distributed("gloo", verbose=False)
net = torch.nn.Linear(4, 4)
engine, *_ = deepspeed.initialize(model=net, model_parameters=net.parameters(), config={{
    "train_micro_batch_size_per_gpu": 2, "zero_optimization": {{"stage": 2, "elastic_checkpoint":
    True}}, "optimizer": {{"type": "Adam", "params": {{"torch_adam": True}}}}}})
assert libaccount.attach(engine) is run and libaccount.attach(engine) is run
print("ready", flush=True)
try:
    while True:
        engine.backward(engine(torch.ones(2, 4)).sum())
        engine.step()
except libaccount.ShutdownOrdered:
    pass
for save in (lambda: engine.save_checkpoint({str(tmp_path / "state")!r}),
             lambda: engine.save_16bit_model({str(tmp_path / "final")!r})):
    try:
        save()
    except libaccount.ExportDenied as denied:
        print("denied:", denied, flush=True)
print("steps", run.totals().steps - engine.global_steps, flush=True)
"""
    with (tmp_path / "stderr").open("w") as stderr, subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr,
            text=True) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if line == "ready\n":
                authority.stop("r")
    denied = [line for line in said if line.startswith("denied:")]
    assert len(denied) == 2 and "save_checkpoint" in denied[0], said
    assert "steps 0\n" in said
    assert not (tmp_path / "state").exists() and not (tmp_path / "final").exists()
    run = tmp_path / "account/r"
    why = "with elastic_checkpoint ranks need each other's part"
    assert f"nothing is saved of a DeepSpeed engine: {why}" in (tmp_path / "stderr").read_text()
    ledger = "".join(path.read_text() for path in run.glob("node-*/ledger/*.jsonl"))
    assert '"state_not_saved"' in ledger and why in ledger
    assert not list(run.rglob("*.locked"))
    assert account.verify(run)["ok"] is True
