"""Megatron under `account run`: megatron.core itself, and the names of megatron.training's loop."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import trainers

FOLDER = pathlib.Path(__file__).resolve().parent
EPOCH = 20  # steps
BATCHES = 2 * EPOCH
SHAPE = FOLDER / "shape"


@pytest.fixture(scope="module")
def example(digits):
    """A pipeline of two stages, on megatron.core."""
    return trainers.Example(FOLDER / "example_on_cpu.py", digits)


@pytest.fixture
def pretrain(digits):
    """A script that calls pretrain(), of what has Megatron-LM's names."""
    return trainers.Example(SHAPE / "example_pretrain.py", digits)


def test_a_pipeline_on_megatron_core_counts_what_a_peer_counts(account, example, tmp_path, bare):
    report = trainers.check_counting(account, example, tmp_path, bare)
    assert report["steps"] == BATCHES


def test_both_stages_stop_at_a_step_and_go_on_from_what_they_saved(
        account, example, tmp_path, bare):
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)


def test_a_step_of_pretrain_is_train_step_however_many_optimizers_step(
        account, pretrain, tmp_path):
    report = trainers.check_counting(account, pretrain, tmp_path, optimizers=2)
    assert report["steps"] == BATCHES
    assert set(report["by_category"]) == {"train", "evaluate"}
    assert (tmp_path / "counted/checkpoints/iter_0000020.account.json").exists()


def test_pretrain_stops_before_a_checkpoint_and_goes_on_from_the_newest(
        account, pretrain, tmp_path):
    losses = pretrain.bare(tmp_path)
    trainers.stop_and_go_on_from_a_checkpoint(account, pretrain, tmp_path / "again", losses, EPOCH)
    said = account("order", "why", tmp_path / "again/account/r").stdout
    assert f"wrote in plain, by its ledger: iter_{EPOCH:07d} (step {EPOCH})" in said


def test_where_the_names_are_others_it_says_so_and_training_goes_on(account, digits, tmp_path):
    shutil.copytree(SHAPE, tmp_path / "shape")
    for path in (tmp_path / "shape").rglob("*.py"):
        text = path.read_text().replace("train_step", "one_step").replace("evaluate(", "judge(")
        path.write_text(text.replace("save_checkpoint", "write_checkpoint"))
    renamed = trainers.Example(tmp_path / "shape/example_pretrain.py", digits)
    said = renamed.counted(account, tmp_path / "counted")
    for name, without in (("train_step", "a step is that of the optimizer"),
                          ("evaluate", "what evaluation computes is not told apart"),
                          ("save_checkpoint", "checkpoints link no runs")):
        told = f"this version of Megatron has no {name}() where libaccount looks for it: {without}"
        assert said.count(told) == 1, said
    report = account.verify(tmp_path / "account/r")
    assert report["steps"] == BATCHES
    assert len(trainers.losses(tmp_path / "counted")) == BATCHES


def test_pretrain_and_an_optimizer_of_megatron_core_are_attached_by_hand(digits, tmp_path):
    code = f"""
import os, pathlib, sys
os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
sys.path.insert(0, {str(SHAPE)!r})
import example_pretrain as script, example_on_cpu, libaccount, torch
folder = pathlib.Path({str(tmp_path)!r})
run = libaccount.attach(script.pretrain, dir=folder / "account", run="r")
args = script.argparse.Namespace(
    digits=pathlib.Path({str(digits)!r}), output=folder, save=folder / "saved",
    load=folder / "saved", pause=0, train_iters=4, eval_interval=2, save_interval=2,
    async_save=False)
script.pretrain(args, script.data, script.net, script.forward_step)
assert run.totals().steps == 4, run.totals().steps
assert set(run.totals().by_category) == {{"train", "evaluate"}}
assert (folder / "saved/iter_0000004.account.json").exists()
with example_on_cpu.OnCpu():
    from megatron.core.optimizer import OptimizerConfig
    from megatron.core.optimizer.optimizer import FP32Optimizer
    weight = torch.nn.Parameter(torch.ones(2))
    inner = torch.optim.SGD([weight], lr=0.1)
    optimizer = FP32Optimizer(inner, OptimizerConfig(clip_grad=0.0), lambda *_: None)
    assert libaccount.attach(optimizer) is run and libaccount.attach(optimizer) is run
    for _ in range(3):
        weight.main_grad = torch.ones(2)
        assert optimizer.step()[0]
    inner.step()
assert run.totals().steps == 4 + 3, run.totals().steps
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(FOLDER)}, timeout=180)
    assert done.returncode == 0, done.stderr
