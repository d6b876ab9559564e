"""Finds and loads the compiled parts: ``_core`` (no torch in it), then the torch adapter."""

from __future__ import annotations

import functools
import os
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _adapters, _compile, _cuda_graphs, _formulas
from ._after_import import after_import
from ._errors import Error

if TYPE_CHECKING:
    from types import ModuleType

_watching = False


@functools.cache
def core() -> Any:
    """The compiled module. Typed by ``_core.pyi`` for those who import it directly."""
    try:
        return import_module("libaccount._core")
    except ImportError as broken:
        raise Error(
            f"libaccount's compiled part does not load ({broken})", "unavailable"
        ) from broken


def folder() -> Path:
    """Where the compiled parts were installed: ``lib/``, ``include/`` and the CMake package."""
    return Path(core().__file__).parent


def watching_core() -> Any:
    """The compiled module, with torch being watched. Raises Error, saying why, where it cannot."""
    global _watching
    loaded = core()
    if not _watching:
        torch = _import_torch()
        adapter = _adapters.find(folder(), loaded, str(torch.__version__))
        loaded.load_adapter(str(adapter))
        _watching = True
        _compile.install()
        _cuda_graphs.install()
        after_import("torch.library", _formulas.watch_definitions)
        after_import("triton.runtime.jit", _formulas.watch_kernels)
    loaded.watch_new_ops()
    return loaded


def set_binary_path() -> None:
    """Tells the core where the `account` command is, which becomes the keeper."""
    if "ACCOUNT_BIN" in os.environ:
        return
    for candidate in _binary_candidates():
        if os.access(candidate, os.X_OK):
            os.environ["ACCOUNT_BIN"] = str(candidate)
            return


def _binary_candidates() -> list[Path]:
    places = [Path(sysconfig.get_path("scripts")) / "account"]
    # Installed with --user, --prefix or --target, the scripts lie elsewhere; the package knows.
    from importlib.metadata import PackageNotFoundError, files

    try:
        installed = files("libaccount") or []
    except PackageNotFoundError:
        installed = []
    places += [Path(str(f.locate())) for f in installed if f.name == "account"]
    return places


def _import_torch() -> ModuleType:
    try:
        return import_module("torch")
    except ImportError as missing:
        raise Error(
            f"PyTorch cannot be imported ({missing}); install it to count", "unavailable"
        ) from missing
