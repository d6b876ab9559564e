"""The export gate in Python: while an order stands, this job's ways of writing weights are refused.
And what loads weights tells the keeper where they come from, so that a stopped run's are known.

Installed by start() where the run obeys an authority, and only then. Each way out that is known
asks the core before it has opened or changed anything, so that a refused save leaves no file behind
and damages none. docs/export_gate.md lists the ways, and what is not among them.

Decides nothing: whether the gate is shut is the keeper's word in the rank's page.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import _load
from ._after_import import after_import
from ._errors import ExportDenied

if TYPE_CHECKING:
    from types import ModuleType

_installed = False
_passing: set[int] = set()  # threads by their idents


def install() -> None:
    """Puts the gate in front of every known way, also of modules that are imported later."""
    global _installed
    if _installed:
        return
    _installed = True
    _gate_torch()
    for name, gate in _LATER.items():
        after_import(name, gate)


@contextlib.contextmanager
def passing() -> Iterator[None]:
    """What this thread writes meanwhile goes to the core, which encrypts it."""
    _passing.add(threading.get_ident())
    try:
        yield
    finally:
        _passing.remove(threading.get_ident())


def permit(way: str, target: object) -> None:
    """Raises ExportDenied, and leaves a word in the ledger, while exports are refused."""
    if _passing and threading.get_ident() in _passing:
        return
    refusal = _load.core().export_refusal(way, _name_of(target))
    if refusal is not None:
        raise ExportDenied(refusal)


def tell_loaded(source: object) -> None:
    """Names the run that these weights come from, where a sidecar or a record says so."""
    from ._run import current

    run = current()
    if run is not None and isinstance(source, (str, bytes, os.PathLike)):
        with contextlib.suppress(Exception):  # loading is not to fail for what nobody asked
            run._inner.loaded(os.fsdecode(source))


def _name_of(target: object) -> str:
    if type(target) is str:  # as nearly always; the rest takes a microsecond
        return target
    if isinstance(target, (str, bytes, os.PathLike)):
        return os.fsdecode(target)
    return "a buffer"


def _first(
    act: Callable[[object], None], function: Callable[..., Any], position: int, name: str
) -> Any:
    """`function`, after `act` was called with its argument at `position`, or `name`."""

    @functools.wraps(function)
    def acts_first(*args: Any, **kwargs: Any) -> Any:
        act(args[position] if len(args) > position else kwargs.get(name))
        return function(*args, **kwargs)

    return acts_first


def _asking(way: str, function: Callable[..., Any], position: int, name: str) -> Any:
    """`function`, once it is permitted to write to that argument."""
    return _first(functools.partial(permit, way), function, position, name)


def _telling(function: Callable[..., Any], position: int, name: str) -> Any:
    """`function`, which loads weights from that argument."""
    return _first(tell_loaded, function, position, name)


# --- torch ----------------------------------------------------------------------------------------


def _gate_torch() -> None:
    import torch
    from torch import serialization

    # Note: [late names] torch.save looks these up when it is called, so that a `save` that was
    # imported before is gated as well; and each is called before its file is opened.
    serialization._open_zipfile_writer = _asking(
        "torch.save", serialization._open_zipfile_writer, 0, "name_or_buffer"
    )
    serialization._open_file_like = _writing_only(serialization._open_file_like)

    # What others build on: export.save, torch.package, streams of raw storages.
    writer: Any = torch._C.PyTorchFileWriter
    writer.__init__ = _asking("PyTorchFileWriter", writer.__init__, 1, "file_name")
    storage: Any = torch.UntypedStorage
    storage._write_file = _asking("UntypedStorage._write_file", storage._write_file, 1, "f")

    # TorchScript writes in C++.
    for script in (torch._C.ScriptModule, torch._C.ScriptFunction):
        for method in (
            "save",
            "save_to_buffer",
            "_save_for_mobile",
            "_save_to_buffer_for_mobile",
        ):
            if hasattr(script, method):
                gated = _asking("torch.jit.save", getattr(script, method), 1, "filename")
                setattr(script, method, gated)

    # A tensor that is a file: what is written into it is in the file.
    _replace_everywhere(torch.from_file, _shared_only(torch.from_file))
    storage.from_file = staticmethod(_shared_only(storage.from_file))


def _shared_only(from_file: Callable[..., Any]) -> Any:
    @functools.wraps(from_file)
    def asks_first(filename: str, shared: bool | None = None, *args: Any, **kwargs: Any) -> Any:
        if shared:
            permit("torch.from_file", filename)
        return from_file(filename, shared, *args, **kwargs)

    return asks_first


def _writing_only(open_file_like: Callable[..., Any]) -> Any:
    """The legacy format of torch.save opens its file so; torch.load opens every file so."""

    @functools.wraps(open_file_like)
    def asks_first(name_or_buffer: Any, mode: str) -> Any:
        if "r" not in mode:
            permit("torch.save", name_or_buffer)
        else:
            tell_loaded(name_or_buffer)
        return open_file_like(name_or_buffer, mode)

    return asks_first


# --- Modules that a job may import at any time ----------------------------------------------------


def _gate_ahead_of_time(inductor: ModuleType) -> None:
    """Refused by the path of the package, before the program is taken apart."""
    original = inductor.aoti_compile_and_package
    gated = _asking(
        "torch._inductor.aoti_compile_and_package", original, sys.maxsize, "package_path"
    )
    _replace_everywhere(original, gated)


def _gate_ahead_of_time_compiler(compile_fx: Any) -> None:
    """All that compiles ahead of time ends here, and looks it up when called: Note: [late names].
    What it leaves in the compiler's folder has the weights in it, packaged or not.
    """
    compiler = compile_fx.compile_fx_aot
    way = "torch._inductor.aot_compile"
    compile_fx.compile_fx_aot = _first(
        lambda _: permit(way, "a compiled library"), compiler, 0, "model_"
    )


def _gate_torch_onnx(onnx: ModuleType) -> None:
    """Comes before the packages that exporting needs are imported, or missed."""
    _replace_everywhere(onnx.export, _asking("torch.onnx.export", onnx.export, 2, "f"))
    program = onnx.ONNXProgram
    program.save = _asking("torch.onnx.ONNXProgram.save", program.save, 1, "destination")
    # The older exporter's functions look this one up.
    older: Any = getattr(onnx, "utils", None)
    if hasattr(older, "_export"):
        older._export = _asking("torch.onnx.utils.export", older._export, 2, "f")


def _gate_onnx(onnx: ModuleType) -> None:
    save = onnx.save_model
    _replace_everywhere(save, _asking("onnx.save", save, 1, "f"))


def _gate_onnx_ir(onnx_ir: ModuleType) -> None:
    _replace_everywhere(onnx_ir.save, _asking("onnx_ir.save", onnx_ir.save, 1, "path"))


def _gate_safetensors(rust: ModuleType) -> None:
    """All of safetensors' frontends (torch, numpy, ...) take these two from here."""
    for name, target in (("serialize_file", 1), ("serialize", sys.maxsize)):
        original = getattr(rust, name)
        way = f"safetensors.{name}"
        _replace_everywhere(original, _asking(way, original, target, "filename"))
    _replace_everywhere(rust.safe_open, _telling(rust.safe_open, 0, "filename"))


def _gate_distributed_checkpoint(saver: ModuleType) -> None:
    for name in ("save", "async_save", "save_state_dict"):
        original = getattr(saver, name)
        way = f"distributed.checkpoint.{name}"
        _replace_everywhere(original, _asking(way, original, sys.maxsize, "checkpoint_id"))


def _gate_numpy(numpy: ModuleType) -> None:
    """``ndarray.tofile`` and ``dump`` cannot be replaced: docs/export_gate.md."""
    for name in ("save", "savez", "savez_compressed", "savetxt"):
        original = getattr(numpy, name)
        _replace_everywhere(original, _asking(f"numpy.{name}", original, 0, "file"))


def _gate_hub(hub: ModuleType) -> None:
    """Every upload ends in one of these two, as a method or as a function that was bound to it."""
    for name in ("create_commit", "preupload_lfs_files"):
        way = f"huggingface_hub.{name}"
        bound = getattr(hub, name)
        _replace_everywhere(bound, _asking(way, bound, 0, "repo_id"))
        setattr(hub.HfApi, name, _asking(way, getattr(hub.HfApi, name), 1, "repo_id"))


def _gating(kind: str, method: str, folder: str) -> Callable[[ModuleType], None]:
    """Of a class whose method writes a configuration before the weights, which would be left."""

    def gate(module: ModuleType) -> None:
        owner = getattr(module, kind)
        way = f"{module.__name__.partition('.')[0]}.{method}"
        setattr(owner, method, _asking(way, getattr(owner, method), 1, folder))

    return gate


def _gate_accelerate(accelerators: ModuleType) -> None:
    _gating("Accelerator", "save_state", "output_dir")(accelerators)
    # Its folder is the second argument, after the model.
    accelerators.Accelerator.save_model = _asking(
        "accelerate.save_model", accelerators.Accelerator.save_model, 2, "save_directory"
    )


def _watch_distributed_loads(loader: ModuleType) -> None:
    for name in ("load", "load_state_dict"):
        original = getattr(loader, name)
        _replace_everywhere(original, _telling(original, sys.maxsize, "checkpoint_id"))


_LATER: dict[str, Callable[[ModuleType], None]] = {
    "accelerate.accelerator": _gate_accelerate,
    "numpy": _gate_numpy,
    "huggingface_hub.hf_api": _gate_hub,
    "peft.peft_model": _gating("PeftModel", "save_pretrained", "save_directory"),
    "onnx": _gate_onnx,
    "onnx_ir": _gate_onnx_ir,
    "safetensors._safetensors_rust": _gate_safetensors,
    "torch._inductor": _gate_ahead_of_time,
    "torch._inductor.compile_fx": _gate_ahead_of_time_compiler,
    "torch.distributed.checkpoint.state_dict_saver": _gate_distributed_checkpoint,
    "torch.distributed.checkpoint.state_dict_loader": _watch_distributed_loads,
    "torch.onnx": _gate_torch_onnx,
    "transformers.modeling_utils": _gating("PreTrainedModel", "save_pretrained", "save_directory"),
    "transformers.trainer": _gating("Trainer", "save_model", "output_dir"),
}


def _replace_everywhere(original: Any, gated: Any) -> None:
    """In every module that has it, under whatever name: `from x import y` made copies of it."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict):
            continue
        for name, value in list(names.items()):
            if value is original:
                names[name] = gated
