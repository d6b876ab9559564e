"""A small Llama that learns handwritten digits with torchtitan. Knows no libaccount.

    DIGITS=DIGITS.csv account run --model digits -- torchrun --standalone --nproc-per-node 2 \
        -m torchtitan.train --module example --config digits --dump_folder OUT

DIGITS.csv is scikit-learn's (datasets/data/digits.csv.gz, unpacked): 64 values and a digit a line.
"""

import json
import os
import pathlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch.distributed.fsdp import FSDPModule
from torchtitan.components.checkpoint import CheckpointManager
from torchtitan.components.dataloader import BaseDataLoader
from torchtitan.components.loss import CrossEntropyLoss
from torchtitan.components.metrics import MetricsProcessor
from torchtitan.components.optimizer import LRSchedulersContainer, default_adamw
from torchtitan.components.tokenizer import BaseTokenizer
from torchtitan.components.validate import Validator
from torchtitan.config import DebugConfig, ParallelismConfig, TrainingConfig
from torchtitan.models.common import ComplexRoPE, Embedding, Linear, RMSNorm
from torchtitan.models.common.attention import ScaledDotProductAttention
from torchtitan.models.common.config_utils import make_ffn_config, make_gqa_config
from torchtitan.models.llama3 import parallelize_llama
from torchtitan.models.llama3.model import Llama3Model, Llama3TransformerBlock
from torchtitan.protocols.model_spec import ModelSpec
from torchtitan.trainer import Trainer

ROWS, BATCH, PIXELS = 640, 16, 64
WORDS = 32  # values of a pixel, and digits behind them
EPOCH = ROWS // BATCH // 2  # steps, on two ranks


class Words(BaseTokenizer):
    @dataclass(kw_only=True, slots=True)
    class Config(BaseTokenizer.Config):
        pass

    def __init__(self, config: Config, **_: object) -> None:
        super().__init__()

    def encode(self, line: str) -> list[int]:
        *pixels, digit = (int(float(word)) for word in line.split(","))
        return [*pixels, 17 + digit]

    def decode(self, words: list[int]) -> str:
        return " ".join(map(str, words))

    def get_vocab_size(self) -> int:
        return WORDS


class Digits(BaseDataLoader):
    @dataclass(kw_only=True, slots=True)
    class Config(BaseDataLoader.Config):
        infinite: bool = True
        pause: float = 0.0  # seconds a batch, to watch it

    def __init__(self, config: Config, *, dp_world_size: int, dp_rank: int,
                 tokenizer: BaseTokenizer, local_batch_size: int, **_: object) -> None:
        lines = pathlib.Path(os.environ["DIGITS"]).read_text().split()[:ROWS]
        rows = torch.tensor([tokenizer.encode(line) for line in lines])
        step = dp_world_size * local_batch_size
        self.batches = [rows[start:start + local_batch_size]
                        for start in range(dp_rank * local_batch_size, ROWS, step)]
        self.place, self.pause, self.rank = 0, config.pause, dp_rank

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        while True:
            batch = self.batches[self.place % len(self.batches)]
            self.place += 1
            time.sleep(self.pause)
            yield {"input": batch[:, :PIXELS]}, batch[:, 1:]

    def state_dict(self) -> dict[str, int]:
        return {f"place-{self.rank}": self.place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.place = state[f"place-{self.rank}"]


class Losses(MetricsProcessor):
    """Writes them down as well."""

    @dataclass(kw_only=True, slots=True)
    class Config(MetricsProcessor.Config):
        log_freq: int = 1
        disable_color_printing: bool = True

    def __init__(self, config: Config, *, dump_folder: str, **others: object) -> None:
        super().__init__(config, dump_folder=dump_folder, **others)
        self.path = pathlib.Path(dump_folder, "losses.jsonl")

    def log(self, step: int, loss: float, *others: object, **more: object) -> None:
        super().log(step, loss, *others, **more)
        if torch.distributed.get_rank() == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps([step, loss]) + "\n")


def small(dim: int = 32, heads: int = 4, layers: int = 2) -> ModelSpec:
    normal = {"weight": partial(torch.nn.init.normal_, std=0.02)}
    ones = {"weight": torch.nn.init.ones_}

    def layer() -> Llama3TransformerBlock.Config:
        return Llama3TransformerBlock.Config(
            attention_norm=RMSNorm.Config(normalized_shape=dim, param_init=ones),
            ffn_norm=RMSNorm.Config(normalized_shape=dim, param_init=ones),
            attention=make_gqa_config(
                dim=dim, n_heads=heads, wqkv_param_init=normal, wo_param_init=normal,
                inner_attention=ScaledDotProductAttention.Config(),
                rope=ComplexRoPE.Config(dim=dim // heads, max_seq_len=PIXELS)),
            feed_forward=make_ffn_config(dim=dim, hidden_dim=2 * dim, w1_param_init=normal,
                                         w2w3_param_init=normal))

    model = Llama3Model.Config(
        dim=dim, vocab_size=WORDS, layers=[layer() for _ in range(layers)],
        tok_embeddings=Embedding.Config(num_embeddings=WORDS, embedding_dim=dim,
                                        param_init=normal),
        norm=RMSNorm.Config(normalized_shape=dim, param_init=ones),
        lm_head=Linear.Config(in_features=dim, out_features=WORDS, param_init=normal))
    return ModelSpec(name="llama3", flavor="digits", model=model,
                     parallelize_fn=parallelize, pipelining_fn=None,
                     post_optimizer_build_fn=None, state_dict_adapter=None)


def parallelize(model: Llama3Model, **parts: object) -> torch.nn.Module:
    model = parallelize_llama(model, **parts)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_force_sum_reduction_for_comms(True)  # gloo has no other
    return model


def digits() -> Trainer.Config:
    return Trainer.Config(
        model_spec=small(),
        loss=CrossEntropyLoss.Config(global_vocab_size=WORDS),
        optimizer=default_adamw(lr=1e-3),
        lr_scheduler=LRSchedulersContainer.Config(warmup_steps=2),
        training=TrainingConfig(local_batch_size=BATCH, seq_len=PIXELS, steps=2 * EPOCH,
                                mixed_precision_param="float32", disable_cuda_graphs=True),
        debug=DebugConfig(seed=0),
        parallelism=ParallelismConfig(spmd_backend="partial_dtensor"),
        tokenizer=Words.Config(), dataloader=Digits.Config(), metrics=Losses.Config(),
        checkpoint=CheckpointManager.Config(enable=True, interval=EPOCH),
        activation_checkpoint=None,
        validator=Validator.Config(enable=True, freq=EPOCH, steps=2, dataloader=Digits.Config()))
