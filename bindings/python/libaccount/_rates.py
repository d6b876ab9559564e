"""Operations a second, and what share of the device's peak they are."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _load
from ._errors import Error


@dataclass(frozen=True)
class Rates:
    """Of one process, over some seconds of wall-clock time.

    ``hfu`` (hardware utilisation) is what was executed, ``mfu`` (model utilisation) what was
    executed less recomputation, over the device's peak for each dtype (Chowdhery et al. 2022, arXiv
    2204.02311, appendix B). None where the peak of a dtype that was used is not known.
    """

    seconds: float
    operations_per_second: float
    device: str
    hfu: float | None = None
    mfu: float | None = None
    why_unknown: str = ""


def rates(totals: Any, seconds: float, *, device: str | None = None) -> Rates:
    """What `totals` (of ``count()``, ``run.totals()``, ``estimate()``) are a second.

    `device` is a name as ``torch.cuda.get_device_name()`` gives it; that of the current CUDA device
    unless said. On a GPU the seconds must end with a synchronisation, which this does not do. Peaks
    are in ``devices.json``, with their sources; the environment variable ``ACCOUNT_DEVICES`` names
    a file of that form whose entries go before. float32 is held against the tensor cores' rate
    where torch is told to use them for it.

    Raises Error for a time that is none, and for a file that cannot be used.
    """
    if not seconds > 0:
        raise Error(f"{seconds} seconds are no time to divide by", "invalid_argument")
    name = _current_device() if device is None else device
    per_second = totals.executed / seconds
    known = next((d for d in _devices() if _matches(d, name)), None)
    if known is None:
        return Rates(seconds, per_second, name, why_unknown=f"no peak is known for {name}")
    busy = 0.0
    for dtype, executed in totals.by_dtype.items():
        peak = known["peaks"].get(_peak_word(dtype))
        if peak is None:
            why = f"no peak of {known['device']} is known for {dtype}"
            return Rates(seconds, per_second, name, why_unknown=why)
        busy += executed / float(peak)
    hfu = busy / seconds
    mfu = hfu * totals.model / totals.executed if totals.executed else 0.0
    return Rates(seconds, per_second, name, hfu, mfu)


def _current_device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _peak_word(dtype: str) -> str:
    """Variants of 8 and 4 bits have one rate; float32 may run on tensor cores."""
    import torch

    if dtype == "float32" and torch.backends.cuda.matmul.allow_tf32:
        return "tf32"
    for family in ("float8", "float4"):
        if dtype.startswith(family):
            return family
    return "int8" if dtype == "uint8" else dtype


def _matches(device: dict[str, Any], name: str) -> bool:
    return any(phrase in name for phrase in device["match"].split("|"))


def _devices() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    if os.environ.get("ACCOUNT_DEVICES"):
        listed += _read(Path(os.environ["ACCOUNT_DEVICES"]))
    return listed + _read(_load.folder() / "devices.json")


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        devices: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["devices"]
        for entry in devices:
            if "" in entry["match"].split("|"):
                raise ValueError("an empty match is in every name")
            if not isinstance(entry["device"], str):
                raise TypeError("a device's name is text")
            if not all(float(peak) > 0 for peak in entry["peaks"].values()):
                raise ValueError("a peak is not above 0")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise Error(
            f"{path}: it is no table of devices ({type(fault).__name__}: {fault}); "
            "it needs the form of libaccount's devices.json",
            "invalid_argument",
        ) from fault
    return devices
