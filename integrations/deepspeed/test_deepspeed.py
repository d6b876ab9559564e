"""A DeepSpeed loop under `account run`: example.py, which knows nothing of libaccount."""

import json
import pathlib
import subprocess
import sys

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


@pytest.mark.parametrize("zero", [0, 3])
def test_it_counts_what_a_peer_counts(account, make, tmp_path, zero):
    example = make(zero)
    report = trainers.check_counting(account, example, tmp_path)
    assert len(set(trainers.losses(tmp_path / "peer"))) == 2 * EPOCH
    assert report["steps"] == EPOCH
    assert (tmp_path / f"counted/state/global_step{EPOCH}.account.json").exists()
    if zero < 3:  # of ZeRO 3 only what DeepSpeed is configured for is gathered
        record = account.verify(tmp_path / "counted/final/model.bin")
        assert record["ok"] is True
        assert record["weights_checked"] is True
        assert record["runs"][0]["executed"] == report["operations"]


def test_after_a_stop_it_goes_on_from_the_checkpoint_that_was_whole(account, make, tmp_path):
    example = make(2)
    bare = example.bare(tmp_path)
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)


def test_a_save_is_refused_before_it_writes_anything(account, tmp_path):
    authority = Authority(account, tmp_path)
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
    "train_micro_batch_size_per_gpu": 2, "optimizer": {{"type": "Adam", "params":
    {{"torch_adam": True}}}}}})
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
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
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
    assert json.loads(account("verify", tmp_path / "account/r", "--json").stdout)["ok"] is True
