"""Runs example.py where there is no GPU, for the tests. Knows no libaccount.

    torchrun --standalone --nproc-per-node 2 example_on_cpu.py DIGITS.csv --output OUT

megatron.core makes its tensors on "cuda" by name; here they are made on the CPU. Nothing else of it
is changed.
"""

import pathlib
import runpy
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

CPU = torch.device("cpu")


class OnCpu(TorchFunctionMode):
    def __torch_function__(self, function: Callable, types: Any, args: Any = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if str(kwargs.get("device", "")).startswith("cuda"):
            kwargs["device"] = CPU
        return function(*args, **kwargs)


def main() -> None:
    cuda: Any = torch.cuda
    cuda.current_device = lambda: CPU
    cuda.synchronize = lambda *_: None
    with OnCpu():
        runpy.run_path(str(pathlib.Path(__file__).parent / "example.py"), run_name="__main__")


if __name__ == "__main__":
    main()
