"""Runs `torchtitan.train` as it stands where there is no GPU, for the tests. Knows no libaccount.

    torchrun --standalone --nproc-per-node 2 example_on_cpu.py DIGITS.csv --output OUT

torchtitan takes CUDA where it finds no other accelerator. Here it is told that the CPU is one; what
it then asks of a device and the CPU does not have, and Triton, whose kernels it only defines, are
the few lines of stand_in().
"""

import argparse
import importlib.util
import os
import pathlib
import runpy
import sys
import types
from typing import Any
from unittest.mock import MagicMock

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=pathlib.Path)
    parser.add_argument("--output", required=True)
    parser.add_argument("--pause", default="0")
    args, others = parser.parse_known_args()
    os.environ["DIGITS"] = str(args.digits)
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    stand_in()
    sys.argv[1:] = ["--module", "example", "--config", "digits", "--dump_folder", args.output,
                    "--hf_assets_path", args.output, "--dataloader.pause", args.pause, *others]
    runpy.run_module("torchtitan.train", run_name="__main__", alter_sys=True)


def stand_in() -> None:
    torch._utils._get_available_device_type = lambda: "cpu"
    cpu: Any = torch.cpu
    cpu.get_device_name = lambda *_: "CPU"
    cpu.get_device_properties = lambda *_: types.SimpleNamespace(total_memory=2**30)
    cpu.memory_stats = lambda *_: {}
    cpu.reset_peak_memory_stats = cpu.empty_cache = lambda *_: None
    barrier = torch.distributed.barrier

    def without_device(*args: Any, device_ids: object = None, **more: Any) -> Any:
        return barrier(*args, **more)

    torch.distributed.barrier = without_device
    if not hasattr(torch.distributed, "set_timeout"):  # a newer torch has it
        torch.distributed.set_timeout = lambda *_: None
    if importlib.util.find_spec("triton") is None:
        sys.modules |= {"triton": MagicMock(), "triton.language": MagicMock()}
        import torchtitan.distributed.minimal_async_ep  # noqa: F401  (what needs it)
        del sys.modules["triton"], sys.modules["triton.language"]


if __name__ == "__main__":
    main()
