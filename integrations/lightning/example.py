"""Trains on handwritten digits with Lightning: a classifier, or with --gan two nets against each
other. Knows no libaccount.

    account run -- torchrun --standalone --nproc-per-node 2 example.py DIGITS.csv --output OUT

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import argparse
import json
import logging
import os
import pathlib
import time
import warnings

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module="lightning")


class Classifier(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))

    def training_step(self, batch, index):
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.log("accuracy", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Gan(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.painter = torch.nn.Sequential(
            torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 64))
        self.critic = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))

    def training_step(self, batch, index):
        real = batch[0]
        painter, critic = self.optimizers()
        fake = self.painter(torch.randn(len(real), 8))
        judged = torch.cat([self.critic(real), self.critic(fake.detach())])
        truth = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
        losses = [functional.binary_cross_entropy_with_logits(judged, truth)]
        critic.zero_grad()
        self.manual_backward(losses[0])
        critic.step()
        losses.append(functional.softplus(-self.critic(fake)).mean())
        painter.zero_grad()
        self.manual_backward(losses[1])
        painter.step()
        return {"loss": sum(losses).detach()}

    def configure_optimizers(self):
        return [torch.optim.Adam(net.parameters(), lr=1e-3) for net in (self.painter, self.critic)]


class Losses(Callback):
    """Every loss of rank 0, with all its digits, as a line a batch."""

    def __init__(self, path: pathlib.Path, pause: float) -> None:
        self.path, self.pause = path, pause

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if trainer.is_global_zero:
            with self.path.open("a") as file:
                file.write(json.dumps([trainer.global_step, outputs["loss"].item()]) + "\n")
        time.sleep(self.pause)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--gan", action="store_true")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--devices", type=int, default=int(os.environ.get("WORLD_SIZE", "1")),
                        help="without torchrun: that Lightning starts a process for, each")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a batch, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    lightning.seed_everything(0, verbose=False)
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in args.digits.read_text().split()])
    data = TensorDataset(rows[:, :64] / 16, rows[:, 64].long())
    training, held_out = [DataLoader(torch.utils.data.Subset(data, part), 16)
                          for part in (range(640), range(640, 704))]
    trainer = lightning.Trainer(
        accelerator="cpu", devices=args.devices, max_epochs=args.epochs,
        accumulate_grad_batches=1 if args.gan else 2, default_root_dir=args.output, logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        strategy="ddp_find_unused_parameters_true" if args.devices > 1 else "auto",
        callbacks=[Losses(args.output / "losses.jsonl", args.pause),
                   ModelCheckpoint(args.output, save_last=True, every_n_train_steps=5)])
    if args.gan:
        trainer.fit(Gan(), training)
    else:
        trainer.fit(Classifier(), training, held_out)
    trainer.save_checkpoint(args.output / "final.ckpt")


if __name__ == "__main__":
    main()
