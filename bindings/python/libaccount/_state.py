"""What training goes on from after a stop: written locked at the stop, given back after the lift.

The core decides whether it may be written, encrypts it as it streams, and finds it again. Here is
what PyTorch offers in Python only: torch.save, torch.load, and random number generators.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable
from typing import IO, Any, cast

from . import _gate
from ._errors import Error

_FORMAT = "account-state/1"


class _Sink:
    """A file to torch.save, which only ever appends."""

    def __init__(self, write: Callable[[Any], int]) -> None:
        self.write = write

    def flush(self) -> None:
        pass


def writer_of(state: Callable[[], Any]) -> Callable[[Callable[[Any], int]], None]:
    """A function that calls ``state`` and streams what it returns to the function it is given."""

    def write(to: Callable[[Any], int]) -> None:
        import torch

        whole = {"format": _FORMAT, "state": state(), "random": random_states()}
        # The gate is shut for what writes plain bytes; this does not.
        with _gate.passing():
            torch.save(whole, cast("IO[bytes]", _Sink(to)))

    return write


def restore(run: Any) -> Any:
    import torch

    plain = io.BytesIO()
    try:
        path, _, _ = run.read_state(plain.write)
    except Error as missing:
        if missing.code == "not_found":
            return None
        raise
    plain.seek(0)
    # Anybody can lock a file: it is read as one from a stranger.
    whole = torch.load(plain, map_location="cpu", weights_only=True)
    if not isinstance(whole, dict) or whole.get("format") != _FORMAT:
        raise Error(f"{path} holds no state of {_FORMAT}", "corrupt")
    set_random_states(whole["random"])
    return whole["state"]


def random_states() -> dict[str, Any]:
    import torch

    version, words, gauss = random.getstate()
    states: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state_all()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        name, keys, position, has_gauss, cached = numpy.random.get_state()
        states["numpy"] = [name, keys.tolist(), int(position), int(has_gauss), float(cached)]
    return states


def set_random_states(states: dict[str, Any]) -> None:
    import torch

    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
    if "numpy" in states:
        import numpy

        numpy.random.set_state(tuple(states["numpy"]))
