"""A loop of one's own on megatron.core: a pipeline of two ranks learns handwritten digits.

    account run -- torchrun --standalone --nproc-per-node 2 example.py DIGITS.csv --output OUT

Knows no libaccount. DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values
and a digit a line.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from megatron.core import parallel_state
from megatron.core.distributed import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.enums import ModelType
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer import TransformerConfig
from megatron.core.transformer.module import MegatronModule

ROWS, BATCH, MICROBATCHES, PIXELS = 640, 16, 2, 64
EPOCH = ROWS // BATCH // MICROBATCHES  # steps


class Stage(MegatronModule):
    """The first half of the net on one rank, the other half on the other."""

    model_type = ModelType.encoder_or_decoder
    share_embeddings_and_output_weights = False

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.pre_process = parallel_state.is_pipeline_first_stage()
        width = 10 if parallel_state.is_pipeline_last_stage() else PIXELS
        self.inner = torch.nn.Linear(PIXELS, PIXELS)
        self.outer = torch.nn.Linear(PIXELS, width)
        self.received: torch.Tensor | None = None

    def set_input_tensor(self, received: list[torch.Tensor]) -> None:
        self.received = received[0]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden = pixels if self.pre_process else self.received
        return self.outer(self.inner(hidden).relu())


def forward_step(batches: Iterator[torch.Tensor], stage: Stage) -> tuple[torch.Tensor, Callable]:
    batch = next(batches)
    return stage(batch[None, :, :PIXELS] / 16), partial(loss_of, batch)


def loss_of(batch: torch.Tensor, said: torch.Tensor) -> tuple[torch.Tensor, dict]:
    loss = torch.nn.functional.cross_entropy(said[0], batch[:, PIXELS].long())
    return loss, {"loss": loss.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds a step, to watch it")
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)

    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    parallel_state.initialize_model_parallel(pipeline_model_parallel_size=2)
    torch.manual_seed(0)
    config = TransformerConfig(
        num_layers=2, hidden_size=PIXELS, num_attention_heads=2, pipeline_model_parallel_size=2,
        pipeline_dtype=torch.float32, finalize_model_grads_func=finalize_model_grads)
    device = torch.cuda.current_device()
    chunk = DistributedDataParallel(config, DistributedDataParallelConfig(),
                                    Stage(config).to(device))
    asked = OptimizerConfig(optimizer="adam", lr=1e-3, clip_grad=0.0)
    optimizer = get_megatron_optimizer(asked, [chunk])
    forward_backward = get_forward_backward_func()
    rows = torch.tensor([[float(word) for word in line.split(",")]
                         for line in args.digits.read_text().split()])[:ROWS].to(device)

    state = args.output / f"state-{os.environ['RANK']}.pt"
    done = 0
    if state.exists():
        saved = torch.load(state, weights_only=False)
        chunk.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]
    for number in range(done, args.epochs * EPOCH):
        epoch, place = divmod(number, EPOCH)
        start = place * MICROBATCHES * BATCH
        chunk.zero_grad_buffer()
        optimizer.zero_grad()
        losses = forward_backward(
            forward_step_func=forward_step, model=chunk, num_microbatches=MICROBATCHES,
            data_iterator=iter(rows[start:start + MICROBATCHES * BATCH].split(BATCH)),
            seq_length=1, micro_batch_size=BATCH, forward_only=False)
        if losses:  # on the last stage
            with (args.output / "losses.jsonl").open("a") as file:
                file.write(json.dumps([epoch, *(loss["loss"] for loss in losses)]) + "\n")
        time.sleep(args.pause)
        optimizer.step()
        if place + 1 == EPOCH:
            torch.save({"model": chunk.state_dict(), "optimizer": optimizer.state_dict(),
                        "done": number + 1}, state)


if __name__ == "__main__":
    main()
