"""Lightning's Trainer under `account run`: example.py, which knows nothing of libaccount."""

import json
import pathlib

import lightning
import pytest
import torch
import trainers
from authority import Authority

import libaccount
from libaccount._errors import ExportDenied, ShutdownOrdered

EXAMPLE = pathlib.Path(__file__).resolve().parent / "example.py"
BATCHES = 40  # a rank, in two epochs; gradients of two make a step


def test_it_counts_what_a_peer_counts(account, example, tmp_path, bare):
    report = trainers.check_counting(account, example, tmp_path, bare)
    assert report["steps"] == BATCHES / 2
    assert report["samples"] == str(2 * BATCHES * 16)  # ranks, batches, rows; none of validation
    assert set(report["by_category"]) == {"train", "evaluate"}
    kept = {path.name for path in (tmp_path / "counted").glob("epoch*")}
    assert len(kept) == 2 and all(name.startswith("epoch=1-step=20.ckpt") for name in kept)
    final = tmp_path / "counted/final.ckpt"
    shown = json.loads(account("verify", final, "--json").stdout)
    assert shown["sums"]["own"]["low"] == report["operations"]
    assert shown["sums"]["complete"] is False  # nobody knows what its weights began from
    refused = account("record", tmp_path / "account/r", "--weights", final, "--parent", "unknown",
                      "--card", expect=1)
    assert "a model card lies in a folder" in refused.stderr


def test_its_own_launcher_is_counted_the_same_and_both_ranks_stop(
        account, example, digits, tmp_path, bare):
    trainers.check_own_launcher(account, EXAMPLE, digits, tmp_path, bare,
                                example.peer(tmp_path)[0])


def test_two_optimizers_make_one_step(account, digits, tmp_path):
    gan = trainers.Example(EXAMPLE, digits, "--gan")
    report = trainers.check_counting(account, gan, tmp_path, gan.bare(tmp_path), optimizers=2)
    assert report["steps"] == BATCHES
    assert report["samples"] == str(2 * BATCHES * 16)


def test_a_stop_ends_it_in_its_own_way_and_after_the_lift_it_goes_on(
        account, example, tmp_path, bare):
    authority = Authority(account, tmp_path, recovery=("safe",))
    output = tmp_path / "stopped"
    at_the_stop = trainers.stop_lift_and_go_on(account, authority, example, output, after=7)
    assert at_the_stop == bare[:len(at_the_stop)]
    assert 7 <= len(at_the_stop) < BATCHES

    # Lightning begins the epoch's data again, as from a checkpoint of its own; the steps go on.
    after = [json.loads(line) for line in trainers.losses(output)[len(at_the_stop):]]
    whole = [json.loads(line) for line in bare]
    assert [step for step, _ in after] == [step for step, _ in whole[len(at_the_stop):]]
    assert after[0][1] < whole[0][1]  # the first batch again, by weights that have learned


class Line(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        return self.net(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Stopping:
    """A run that an order stops at its third step; what the trainer saves then is refused."""

    counting, steps = True, 0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def step(self) -> None:
        self.steps += 1
        if self.steps == 3:
            def refuse(*_: object) -> None:
                raise ExportDenied("an order stands")

            self._monkeypatch.setattr(torch, "save", refuse)
            raise ShutdownOrdered("an order stands")

    def saved(self, path: str) -> None:
        pass

    def __getattr__(self, name: str):
        return lambda *_: None

    _has_state = True


def test_a_trainer_that_must_not_stop_early_is_ended_and_saves_nothing(tmp_path, monkeypatch):
    from libaccount.integrations.lightning import attach

    checkpoints = lightning.pytorch.callbacks.ModelCheckpoint(
        tmp_path, every_n_train_steps=1, save_top_k=-1)
    trainer = lightning.Trainer(
        accelerator="cpu", min_epochs=2, max_epochs=2, logger=False, callbacks=[checkpoints],
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path)
    attach(trainer, Stopping(monkeypatch))
    with pytest.raises(ShutdownOrdered):
        trainer.fit(Line(), torch.utils.data.DataLoader(torch.ones(8, 2), 2))
    assert trainer.global_step == 3
    saved = {path.name for path in tmp_path.glob("*.ckpt")}
    assert saved == {"epoch=0-step=1.ckpt", "epoch=0-step=2.ckpt"}
    with pytest.raises(ExportDenied):
        trainer.save_checkpoint(tmp_path / "mine.ckpt")
    assert not (tmp_path / "mine.ckpt").exists()
    assert libaccount._run.current() is None
