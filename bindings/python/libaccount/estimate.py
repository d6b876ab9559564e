"""``python -m libaccount.estimate``: what a planned training will take, before it runs.

The same as ``account estimate`` with this Python; ``--help`` lists the options. What needs
PyTorch is done here: one step of the model is counted on fake tensors, which allocates no weights.
The plan, its time, its cost and what the law says to it are worked out by the ``account`` command.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _estimate, _load
from ._errors import Error

COUNT_STEP = "--count-step"  # first word: count, and print the figures as JSON


def main(words: list[str]) -> int:
    if words[:1] == [COUNT_STEP]:
        return _count_step(words[1:])
    _load.set_binary_path()
    account = os.environ.get("ACCOUNT_BIN")
    if account is None:
        print("account: estimate: the `account` command was not found; set ACCOUNT_BIN to its path",
              file=sys.stderr)
        return 1
    os.environ["ACCOUNT_PYTHON"] = sys.executable
    os.execv(account, [account, "estimate", *words])


def _count_step(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="account estimate", add_help=False)
    parser.add_argument("model")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--sequence", type=int)
    parser.add_argument("--attention", default="flash")
    parser.add_argument("--dtype")
    parser.add_argument("--recompute", action="store_true")
    args = parser.parse_args(words)
    try:
        figures = _figures(args)
    except Error as fault:
        figures = {"error": str(fault)}
    print(json.dumps(figures))
    return 1 if "error" in figures else 0


def _figures(args: argparse.Namespace) -> dict[str, Any]:
    known: dict[str, Any] = {"attention": args.attention}
    if ":" in args.model and not Path(args.model).exists():
        if args.batch or args.sequence or args.dtype or args.recompute:
            raise Error("a function's step says itself what it runs on; leave --batch, "
                        "--sequence, --dtype and --recompute out", "invalid_argument")
        step = _step_of_function(args.model)
    else:
        step = _step_of_config(args, known)
    counted = _on_fake_tensors(step, args.attention)
    return {
        **known,
        "executed": str(counted.executed), "model": str(counted.model),
        "lower": str(counted.lower),
        "by_phase": {word: str(count) for word, count in counted.by_phase.items()},
        "by_dtype": {word: str(count) for word, count in counted.by_dtype.items()},
        "by_op": {word: str(count) for word, count in counted.by_op.items()},
        "uncounted": counted.uncounted,
    }


def _on_fake_tensors(step: Callable[[], Any], attention: str) -> _estimate.Estimate:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        try:
            return _estimate.estimate(step, attention=attention)
        except Error:
            raise
        except Exception as fault:
            raise Error(
                f"the step does not run on tensors without numbers ({type(fault).__name__}: "
                f"{str(fault).splitlines()[0] if str(fault) else ''}); a step that looks into a "
                "tensor has to be counted as it runs, with account.count()",
                "invalid_argument") from fault


# ---- a Transformers config -------------------------------------------------------------------


def _step_of_config(args: argparse.Namespace, known: dict[str, Any]) -> Callable[[], Any]:
    """One step of causal language modelling: forward with loss, backward. Adds to what is known."""
    config = _config(Path(args.model))
    length = args.sequence or getattr(config, "max_position_embeddings", None)
    if length is None:
        raise Error("the config does not say how long a sequence is; give --sequence",
                    "invalid_argument")
    batch, dtype = args.batch or 1, args.dtype or "bfloat16"
    known |= {"sequence": length, "batch": batch, "tokens": batch * length, "dtype": dtype,
              "recompute": args.recompute}

    def step() -> None:
        import torch

        models: Any = importlib.import_module("transformers").AutoModelForCausalLM
        net = models.from_config(config, dtype=_dtype(dtype))
        net.train()
        if args.recompute:
            enable = getattr(net, "activation_checkpointing_enable", None)  # transformers 5
            (enable or net.gradient_checkpointing_enable)({"use_reentrant": False})
        known["name"] = type(net).__name__
        known["parameters"] = str(sum(p.numel() for p in net.parameters()))
        ids = torch.ones(batch, length, dtype=torch.long)
        net(input_ids=ids, labels=ids, use_cache=False).loss.backward()

    return step


def _config(path: Path) -> Any:
    try:
        transformers: Any = importlib.import_module("transformers")
        transformers.utils.logging.set_verbosity_error()
    except ImportError as missing:
        raise Error(
            f"a Transformers config needs the package transformers ({missing}); "
            "pip install transformers, or give a function as MODULE:FUNCTION",
            "unavailable") from missing
    file = path / "config.json" if path.is_dir() else path
    if not file.exists():
        raise Error(
            f"{path} is neither a Transformers config that is there nor MODULE:FUNCTION; "
            "give a folder with a config.json, or train.py:step", "invalid_argument")
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
        config = transformers.AutoConfig.for_model(**words)
    except (OSError, ValueError, TypeError) as fault:
        raise Error(
            f"{file}: it is no Transformers config ({fault}); it needs a 'model_type' that the "
            "installed transformers knows", "invalid_argument") from fault
    config._attn_implementation = "sdpa"
    # The same products as by a loop over the experts, which would have to look where tokens went.
    config._experts_implementation = "batched_mm"
    return config


def _dtype(word: str) -> Any:
    import torch

    dtype = getattr(torch, word, None)
    if not isinstance(dtype, torch.dtype):
        raise Error(f"--dtype: '{word}' is no type of torch; say bfloat16, float16 or float32",
                    "invalid_argument")
    return dtype


# ---- a function ------------------------------------------------------------------------------


def _step_of_function(word: str) -> Callable[[], Any]:
    """``train.py:step`` or ``package.module:step``: makes model and inputs, and does one step."""
    place, colon, name = word.rpartition(":")
    if not colon or not place or not name:
        raise Error(f"{word} is no MODULE:FUNCTION; give such as train.py:step",
                    "invalid_argument")
    try:
        module = _module(place)
    except Exception as fault:
        raise Error(f"{place} cannot be imported ({type(fault).__name__}: {fault})",
                    "invalid_argument") from fault
    step = getattr(module, name, None)
    if not callable(step):
        raise Error(f"{place} has no function '{name}'", "invalid_argument")
    return step  # type: ignore[no-any-return]


def _module(place: str) -> Any:
    if not place.endswith(".py"):
        sys.path.insert(0, os.getcwd())
        return importlib.import_module(place)
    path = Path(place).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
