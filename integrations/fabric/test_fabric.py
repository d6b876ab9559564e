"""A Fabric loop under `account run`: example.py, which knows nothing of libaccount."""

import io
import pathlib

import pytest
import torch
import trainers

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.py"
EPOCH = 20  # batches a rank; gradients of two make a step
BATCHES = 2 * EPOCH


def test_it_counts_what_a_peer_counts(account, example, tmp_path, bare):
    report = trainers.check_counting(account, example, tmp_path, bare)
    assert report["steps"] == EPOCH
    assert (tmp_path / "counted" / "state.ckpt.account.json").exists()


def test_its_own_launcher_is_counted_the_same_and_both_ranks_stop(
        account, example, digits, tmp_path, bare):
    trainers.check_own_launcher(account, EXAMPLE, digits, tmp_path, bare,
                                example.peer(tmp_path)[0])


def test_after_a_stop_it_goes_on_from_the_checkpoint_that_was_whole(
        account, example, tmp_path, bare):
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)
    said = account("order", "why", tmp_path / "again/account/r").stdout
    assert f"wrote in plain, by its ledger: state.ckpt (step {EPOCH // 2})" in said


def test_what_a_stop_saves_is_put_back():
    from libaccount.integrations.fabric import _watched, load
    from lightning.fabric import Fabric

    import libaccount

    def made():
        fabric = Fabric(accelerator="cpu", devices=1)
        libaccount.attach(fabric, run="r")
        net = torch.nn.Linear(4, 2)
        return fabric, *fabric.setup(net, torch.optim.Adam(net.parameters()))

    fabric, net, optimizer = made()
    for _ in range(3):
        fabric.backward(net(torch.ones(2, 4)).sum())
        optimizer.step()
    saved = io.BytesIO()
    torch.save(_watched[fabric].state(), saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)

    again, other, its_optimizer = made()
    assert not torch.equal(other.weight, net.weight)
    load(again, state)
    assert torch.equal(other.weight, net.weight)
    assert its_optimizer.state_dict()["state"][0]["step"] == 3
    state["models"].append({})
    with pytest.raises(libaccount.Error, match="2 models were saved, and 1 are set up here"):
        load(again, state)
    libaccount.start().finish()
