"""Trains, puts what each rank holds after some steps into an engine made anew, and trains on.

    DS_ACCELERATOR=cpu torchrun --standalone --nproc-per-node 2 example_put_back.py OUT

Leaves OUT/rank-N.json: of each case the losses after those steps, and those of the engine made
anew. The net has what a rank has alone (running statistics), a frozen layer, and dropout.
"""

import io
import json
import pathlib
import sys
from typing import Any

import deepspeed
import torch
from libaccount.integrations.deepspeed.state import put_back, state_of
from torch import nn

from libaccount import Error

CASES = [(0, ""), (1, ""), (2, ""), (3, ""), (0, "bf16"), (2, "bf16"), (3, "bf16")]
STEPS, AFTER, BATCH = 6, 3, 8


def make(zero: int, dtype: str, width: int = 33) -> Any:
    torch.manual_seed(zero)
    norm = nn.LayerNorm(width) if dtype else nn.BatchNorm1d(width)
    net = nn.Sequential(nn.Linear(16, width), norm, nn.Dropout(0.2), nn.Linear(width, 200),
                        nn.Linear(200, 200), nn.Linear(200, 10))
    net[3].weight.requires_grad_(False)
    engine, *_ = deepspeed.initialize(
        model=net, model_parameters=[one for one in net.parameters() if one.requires_grad], config={
            "train_micro_batch_size_per_gpu": BATCH, "gradient_accumulation_steps": 2,
            "gradient_clipping": 1.0,
            "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
            "scheduler": {"type": "WarmupDecayLR", "params": {
                "warmup_num_steps": 4, "total_num_steps": STEPS, "warmup_max_lr": 1e-3}},
            "zero_optimization": {"stage": zero, "stage3_param_persistence_threshold": 1000},
            **({dtype: {"enabled": True}} if dtype else {})})
    return engine


def train(engine: Any, steps: int) -> list[float]:
    """Batches by how far the engine has come; what is kept is read inside its step."""
    losses = []
    while engine.global_steps < steps:
        seed = 2 * engine.micro_steps + torch.distributed.get_rank()
        chosen = torch.Generator().manual_seed(seed)
        batch = torch.randn(BATCH, 16, generator=chosen).to(engine.module[0].bias.dtype)
        loss = nn.functional.cross_entropy(
            engine(batch).float(), torch.randint(0, 10, (BATCH,), generator=chosen))
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
    return losses


def keep(engine: Any) -> bytes:
    """Trains AFTER steps; its state within the last of them."""
    kept = io.BytesIO()
    take = engine._take_model_step

    def took(*arguments: Any) -> None:
        take(*arguments)
        if engine.global_steps == AFTER:
            torch.save({"state": state_of(engine), "random": torch.get_rng_state()}, kept)

    engine._take_model_step = took
    train(engine, AFTER)
    return kept.getvalue()


def try_case(zero: int, dtype: str) -> dict[str, Any]:
    engine = make(zero, dtype)
    kept = keep(engine)
    losses = train(engine, STEPS)
    whole = torch.load(io.BytesIO(kept), weights_only=True)
    refused = ""
    try:
        put_back(make(zero, dtype, width=34), whole["state"])
    except Error as error:
        refused = str(error)
    anew = make(zero, dtype)
    put_back(anew, whole["state"])
    torch.set_rng_state(whole["random"])
    again = train(anew, STEPS)
    return {"case": f"ZeRO {zero}" + (f", {dtype}" if dtype else ""), "losses": losses,
            "again": again, "refused": refused, "weights": len(whole["state"]["module"])}


def main() -> None:
    deepspeed.init_distributed("gloo", verbose=False)
    said = [try_case(*case) for case in CASES]
    rank = torch.distributed.get_rank()
    pathlib.Path(sys.argv[1], f"rank-{rank}.json").write_text(json.dumps(said))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
