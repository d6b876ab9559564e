"""What a rank holds of an engine's state, as a stop saves it, by DeepSpeed's own state dicts.

Of a partitioned optimizer (and of ZeRO 3's parameters) that is the rank's part; parameters that all
ranks have are the first's of them to save, and go to the others when they are put back. Knows no
run and writes no file: what it returns is plain enough for ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from libaccount._errors import Error

# Whose load_state_dict() takes what its state_dict() gave on the same rank.
_OPTIMIZERS = (
    "DeepSpeedZeroOptimizer",
    "DeepSpeedZeroOptimizer_Stage3",
    "BF16_Optimizer",
    "FP16_Optimizer",
    "FP16_UnfusedOptimizer",
)
# Of their state dicts: made anew by the engine, and not read by load_state_dict().
_MADE_ANEW = ("param_slice_mappings", "universal_checkpoint_info", "zero_stage")
_COUNTERS = ("global_steps", "global_samples", "skipped_steps", "micro_steps")
# What DeepSpeed 0.19 itself puts into a checkpoint; anything else is the job's (client_state).
_DEEPSPEEDS_OWN = frozenset(
    (
        "module",
        "buffer_names",
        "optimizer",
        "param_shapes",
        "frozen_param_shapes",
        "frozen_param_fragments",
        "shared_params",
        "lr_scheduler",
        "data_sampler",
        "random_ltd",
        "skipped_steps",
        "global_steps",
        "global_samples",
        "dp_world_size",
        "mp_world_size",
        "checkpoint_parallel_dimensions",
        "ds_config",
        "ds_version",
        "num_experts",
        "ds_autoep_layers",
        "universal_checkpoint_info",
    )
)


def has_only_deepspeeds_own(client_state: dict[str, Any]) -> bool:
    """Whether the job had nothing of its own in the checkpoint that gave this."""
    return set(client_state) <= _DEEPSPEEDS_OWN


def state_of(engine: Any) -> dict[str, Any]:
    """Inside the engine's step(), whose last act is to count the micro step.

    Takes no part of other ranks, and leaves the engine as it is. Raises Error where the parts that
    ranks can give one by one are not the whole.
    """
    _refuse_others(engine)
    counters = {name: getattr(engine, name) for name in _COUNTERS}
    counters["micro_steps"] += 1
    return {
        "made_by": _made_by(engine),
        "shapes": _shapes(engine),
        "module": _plain(_own_weights(engine)),
        "frozen": _frozen_parts(engine),
        "optimizer": _plain(engine.optimizer.state_dict()),
        "counters": counters,
        "parts": {name: _plain(part.state_dict()) for name, part in _parts(engine).items()},
    }


def put_back(engine: Any, state: dict[str, Any]) -> None:
    """On all ranks. Raises Error, and changes nothing, where another engine's state was saved."""
    _refuse_others(engine)
    parts = _parts(engine)
    if (
        state["made_by"] != _made_by(engine)
        or state["shapes"] != _shapes(engine)
        or set(state["parts"]) != set(parts)
    ):
        raise Error(
            f"the state of {state['made_by']} was saved, and this is {_made_by(engine)}, or of "
            "another model; make the same engine before load()",
            "invalid_argument",
        )
    optimizer = engine.optimizer
    if hasattr(optimizer, "checkpoint_event_prologue"):  # ZeRO 3 gathers no parameter meanwhile
        optimizer.checkpoint_event_prologue()
    engine.module.load_state_dict(state["module"], strict=False)
    for name, part in _frozen_parts(engine).items():
        part.copy_(state["frozen"][name])
    if engine.zero_optimization_stage() < 3:
        engine._broadcast_model()
    _load_optimizer(optimizer, state["optimizer"])
    if hasattr(optimizer, "checkpoint_event_epilogue"):
        optimizer.checkpoint_event_epilogue()
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    for name, count in state["counters"].items():
        setattr(engine, name, count)


def _refuse_others(engine: Any) -> None:
    from deepspeed.runtime.engine import DeepSpeedEngine

    optimizer = engine.optimizer
    kind = type(optimizer).__name__
    for is_so, why in (
        (type(engine) is not DeepSpeedEngine, f"it is a {type(engine).__name__}"),
        (kind not in _OPTIMIZERS and not _is_torchs(optimizer), f"its optimizer is a {kind}"),
        (engine.has_moe_layers, "its experts are on different ranks"),
        (engine.mp_world_size > 1, "its layers are split over ranks"),
        (engine.zero_nvme_offload_optimizer(), "its optimizer's state is on a disk"),
        (getattr(optimizer, "params_in_nvme_and_cpu", False), "its parameters are on a disk"),
        (engine.zero_elastic_checkpoint(), "with elastic_checkpoint ranks need each other's part"),
        (
            engine.random_ltd_enabled() or engine.curriculum_learning_enabled(),
            "its data is chosen by the step",
        ),
    ):
        if is_so:
            raise Error(f"{why}; go on from a checkpoint of the job's own", "unavailable")


def _is_torchs(optimizer: Any) -> bool:
    return isinstance(optimizer, torch.optim.Optimizer)


def _made_by(engine: Any) -> str:
    return f"ZeRO {engine.zero_optimization_stage()}, {type(engine.optimizer).__name__}"


def _shapes(engine: Any) -> dict[str, list[int]]:
    """Of the whole parameters and of the buffers, the same on all ranks."""
    tensors = [*engine.module.named_parameters(), *engine.module.named_buffers()]
    return {name: list(getattr(tensor, "ds_shape", tensor.shape)) for name, tensor in tensors}


def _own_weights(engine: Any) -> dict[str, Any]:
    """Buffers, and parameters where this rank is the one that gives them to the others."""
    from deepspeed.utils import groups

    is_first = torch.distributed.get_rank() == groups._get_broadcast_src_rank()
    parameters = dict(engine.module.named_parameters(remove_duplicate=False))

    def is_own(name: str) -> bool:
        parameter = parameters.get(name)
        if parameter is None or hasattr(parameter, "ds_optim_param"):
            return True
        return is_first and not hasattr(parameter, "ds_id")

    return {name: value for name, value in engine.module.state_dict().items() if is_own(name)}


def _frozen_parts(engine: Any) -> dict[str, torch.Tensor]:
    """Of parameters that ZeRO 3 partitions and its optimizer does not hold."""
    return {
        name: parameter.ds_tensor.detach()
        for name, parameter in engine.module.named_parameters()
        if hasattr(parameter, "ds_id") and not parameter.requires_grad
    }


def _parts(engine: Any) -> dict[str, Any]:
    named = {
        "lr_scheduler": engine.lr_scheduler,
        "grad_scaler": getattr(engine, "torch_autocast_z0_gradscaler", None),
    }
    return {name: part for name, part in named.items() if part is not None}


def _plain(value: Any) -> Any:
    """Without DeepSpeed's classes, and tensors without what it has written on them."""
    from deepspeed.runtime.fp16.loss_scaler import LossScalerBase

    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, LossScalerBase):
        return dict(vars(value))
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if name not in _MADE_ANEW}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value


def _load_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    from deepspeed.runtime.base_optimizer import ZeROOptimizer

    if "loss_scaler" in state:
        scaler = copy.copy(optimizer.loss_scaler)
        vars(scaler).update(state["loss_scaler"])
        state = state | {"loss_scaler": scaler}
    if not isinstance(optimizer, ZeROOptimizer):
        optimizer.load_state_dict(state)
        return
    rank = torch.distributed.get_rank(group=optimizer.dp_process_group)
    of_ranks = [None] * rank + [state]  # it reads its own only
    optimizer.load_state_dict(of_ranks, load_optimizer_states=True, load_from_fp32_weights=True)
