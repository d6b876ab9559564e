"""Saves and loads as Megatron-LM does: iter_NNNNNNN, and a file that names the newest."""

import os
import pathlib

import torch

from .global_vars import get_args

NEWEST = "latest_checkpointed_iteration.txt"


def save_checkpoint(iteration, model, optimizer, opt_param_scheduler,
                    num_floating_point_operations_so_far, checkpointing_context=None,
                    non_persistent_ckpt=False, train_data_iterator=None):
    args = get_args()
    if os.environ["RANK"] == "0":
        folder = pathlib.Path(args.save, f"iter_{iteration:07d}", "mp_rank_00")
        folder.mkdir(parents=True)
        torch.save({"model": [chunk.state_dict() for chunk in model],
                    "optimizer": [one.state_dict() for one in optimizer]},
                   folder / "model_optim_rng.pt")
        pathlib.Path(args.save, NEWEST).write_text(str(iteration))
    torch.distributed.barrier()


def load_checkpoint(ddp_model, optimizer, opt_param_scheduler, load_arg="load", strict=True):
    folder = pathlib.Path(getattr(get_args(), load_arg))
    if not (folder / NEWEST).exists():
        return 0, 0
    iteration = int((folder / NEWEST).read_text())
    saved = torch.load(folder / f"iter_{iteration:07d}/mp_rank_00/model_optim_rng.pt")
    for parts, states in ((ddp_model, saved["model"]), (optimizer, saved["optimizer"])):
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
    return iteration, 0
