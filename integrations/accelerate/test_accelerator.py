"""An Accelerate loop under `account run`: example.py, which knows nothing of libaccount."""

import io
import json

import pytest
import torch
import trainers

EPOCH = 20  # batches a rank; gradients of two make a step
BATCHES = 2 * EPOCH


def test_it_counts_what_a_peer_counts(account, example, tmp_path, bare):
    report = trainers.check_counting(account, example, tmp_path, bare)
    assert report["steps"] == EPOCH
    assert report["samples"] == str(2 * BATCHES * 16)  # ranks, batches, rows
    assert "tokens" not in report
    assert (tmp_path / "counted" / "state.account.json").exists()


def test_after_a_stop_it_goes_on_from_the_checkpoint_that_was_whole(
        account, example, tmp_path, bare):
    trainers.stop_and_go_on_from_a_checkpoint(account, example, tmp_path / "again", bare, EPOCH)
    said = account("order", "why", tmp_path / "again/account/r").stdout
    assert f"wrote in plain, by its ledger: state (step {EPOCH // 2})" in said


def test_what_a_stop_saves_is_put_back():
    from accelerate import Accelerator
    from libaccount.integrations.accelerate import _state_of, load

    from libaccount import Error

    def prepared():
        accelerator = Accelerator(cpu=True)
        net = torch.nn.Linear(4, 2)
        optimizer = torch.optim.Adam(net.parameters())
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        return accelerator, *accelerator.prepare(net, optimizer, schedule)

    accelerator, net, optimizer, schedule = prepared()
    for _ in range(3):
        accelerator.backward(net(torch.ones(2, 4)).sum())
        optimizer.step()
        schedule.step()
    saved = io.BytesIO()
    torch.save(_state_of(accelerator), saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)

    again, other, its_optimizer, its_schedule = prepared()
    assert not torch.equal(other.weight, net.weight)
    load(again, state)
    assert torch.equal(other.weight, net.weight)
    assert its_schedule.get_last_lr() == schedule.get_last_lr()
    assert its_optimizer.state_dict()["state"][0]["step"] == 3

    state["models"].append({})
    with pytest.raises(Error, match="2 models were saved, and 1 are prepared here"):
        load(again, state)
    with pytest.raises(Error, match="0 models were saved, and 1 are prepared here"):
        load(again, {"deepspeed": {}})


def test_what_is_evaluated_is_no_sample_of_training(tmp_path):
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    import libaccount

    accelerator = Accelerator(cpu=True)
    with libaccount.attach(accelerator, dir=tmp_path, run="r") as run:
        net, training, held_out = accelerator.prepare(
            torch.nn.Linear(4, 2), DataLoader(torch.ones(7, 4), 3), DataLoader(torch.ones(9, 4), 2))
        for batch in training:
            for held in held_out:
                net(held)
                break
            accelerator.backward(net(batch).sum())
            accelerator.backward(net(batch).sum())  # the same rows once more
            run.step()
        assert run.totals().samples == 3 + 3 + 1


def test_a_saved_model_carries_its_record_and_half_a_checkpoint_is_removed(account, tmp_path):
    from accelerate import Accelerator
    from libaccount.integrations.accelerate import _save_state

    import libaccount
    from libaccount._errors import ExportDenied

    accelerator = Accelerator(cpu=True)
    net = accelerator.prepare(torch.nn.Linear(4, 2))
    folder = tmp_path / "state"

    def half(accelerator, output_dir):
        output_dir.mkdir(exist_ok=True)
        raise ExportDenied("an order stands")

    with libaccount.attach(accelerator, run="r") as run:
        accelerator.backward(net(torch.ones(2, 4)).sum())
        run.step()
        accelerator.save_model(net, tmp_path / "model")
        with pytest.raises(ExportDenied):
            _save_state(half, accelerator, folder)
        assert not folder.exists()
        folder.mkdir()
        with pytest.raises(ExportDenied):
            _save_state(half, accelerator, folder)
        assert folder.exists()
    shown = json.loads(account("verify", tmp_path / "model", "--json").stdout)
    assert shown["sums"]["own"]["low"] == str(2 * 2 * (2 * 4 * 2))
    assert shown["sums"]["complete"] is False
