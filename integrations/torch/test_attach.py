"""attach() in loops without a trainer, and with objects that it cannot take."""

import os
import subprocess
import sys
import types

import pytest
import torch

import libaccount


@pytest.fixture
def net():
    return torch.nn.Linear(4, 4)


@pytest.fixture
def run(tmp_path):
    with libaccount.start(dir=tmp_path / "account", run="r") as run:
        yield run


def train(net, optimizer):
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()


def test_of_two_optimizers_the_attached_one_makes_the_steps(run, net):
    painter, critic = torch.optim.SGD(net.parameters()), torch.optim.SGD(net.parameters())
    train(net, critic)  # the first that steps would own the steps
    assert libaccount.attach(painter) is run
    libaccount.attach(painter)  # twice is once
    for optimizer in (critic, painter, critic, critic, painter):
        train(net, optimizer)
    assert run.totals().steps == 1 + 2


def test_a_scaler_ends_a_step_that_it_skips(run, net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    libaccount.attach(scaler)
    before = net.weight.detach().clone()
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale(net(torch.ones(2, 4)).sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0  # one was skipped
    assert not torch.equal(net.weight, before)
    assert run.totals().steps == 3


def test_a_scaler_that_is_not_attached_joins_a_skipped_step_with_the_next(run, net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for factor in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale(net(torch.ones(2, 4)).sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert run.totals().steps == 2


def test_what_nothing_is_known_of_is_refused_before_a_run_begins(tmp_path):
    with pytest.raises(libaccount.Error, match=r"nothing is known of builtins\.dict"):
        libaccount.attach({}, dir=tmp_path / "account")
    assert not (tmp_path / "account").exists()


def test_a_framework_that_moved_its_hooks_harms_no_training(run, net, monkeypatch, capsys):
    from libaccount import _attach

    moved = types.ModuleType("accelerate.accelerator")  # without the class that we look for
    _attach.quietly(_attach._watch, "accelerate", moved)
    assert "training goes on" in capsys.readouterr().err
    train(net, torch.optim.SGD(net.parameters()))
    assert run.totals().steps == 1


def test_no_framework_is_imported_that_the_job_has_not(run):
    code = ("import torch, sys\nimport libaccount._attach as a\na.watch_frameworks()\n"
            "print([m for m in ('transformers', 'accelerate', 'lightning') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_off_leaves_everything_as_it_is(tmp_path):
    code = ("import torch, libaccount\n"
            "from transformers import Trainer\n"
            "from libaccount.integrations.huggingface import Callback\n"
            "before = torch.amp.GradScaler.update, Trainer.train\n"
            f"run = libaccount.attach(torch.amp.GradScaler('cpu'), dir={str(tmp_path / 'a')!r})\n"
            "Callback()\n"
            "print(run.counting, (torch.amp.GradScaler.update, Trainer.train) == before)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=os.environ | {"ACCOUNT": "off"})
    assert done.stdout == "False True\n"
    assert not (tmp_path / "a").exists()
