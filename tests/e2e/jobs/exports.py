"""Every way of writing weights that the gate knows, tried one after the other.

As a program: starts a run as its environment says, and prints what became of each way. With the
word "late" it imports little before that; with "compiling" it tries what runs a C++ compiler, else
all the others.
"""

import io
import json
import os
import pathlib
import pickle
import sys
import warnings
from collections.abc import Callable

# Taken before the gate exists, as a job's own imports are.
if "late" not in sys.argv:
    from safetensors import serialize as early_serialize
    from safetensors import serialize_file as early_serialize_file
    from torch._inductor import aot_compile as early_aot_compile
    from torch._inductor import aoti_compile_and_package as early_compile_and_package
    from torch.onnx import export as early_onnx_export
import numpy
import torch
from numpy import save as early_numpy_save
from torch import save as early_save
from torch._C import PyTorchFileWriter as EarlyWriter

WEIGHTS = {"weight": torch.ones(4, 4)}
warnings.filterwarnings("ignore")  # of deprecations and of a missing process group


def _legacy(target: object) -> None:
    torch.save(WEIGHTS, target, _use_new_zipfile_serialization=False)


def _script() -> torch.jit.ScriptModule:
    return torch.jit.script(torch.nn.Linear(2, 2))


EXAMPLE = (torch.ones(1, 2),)


def _exported() -> torch.export.ExportedProgram:
    return torch.export.export(torch.nn.Linear(2, 2), EXAMPLE)


def _export_save(path: pathlib.Path) -> None:
    torch.export.save(_exported(), path.with_suffix(".pt2"))


def _compile_and_package(function: Callable, path: pathlib.Path) -> None:
    function(_exported(), package_path=f"{path}.pt2")


def _package_compiled(path: pathlib.Path) -> None:
    from torch._inductor.package import package_aoti

    package_aoti(str(path.with_suffix(".pt2")), [__file__])


def _onnx_export(path: pathlib.Path, function: Callable | None = None, **words: bool) -> None:
    (function or torch.onnx.export)(torch.nn.Linear(2, 2), EXAMPLE, path, verbose=False, **words)


def _onnx_program_save(path: pathlib.Path) -> None:
    import onnx_ir

    weight = onnx_ir.Value(name="weight", const_value=onnx_ir.tensor(WEIGHTS["weight"].numpy()))
    graph = onnx_ir.Graph((), (), nodes=(), initializers=(weight,), name="net")
    torch.onnx.ONNXProgram(onnx_ir.Model(graph, ir_version=10), _exported()).save(path)


def _onnx_save(path: pathlib.Path) -> None:
    import onnx
    import onnx.numpy_helper

    weight = onnx.numpy_helper.from_array(WEIGHTS["weight"].numpy(), "weight")
    graph = onnx.helper.make_graph([], "net", [], [], [weight])
    onnx.save(onnx.helper.make_model(graph), path)


def _package(path: pathlib.Path) -> None:
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_pickle("weights", "weights.pkl", WEIGHTS)


def _safetensors(frontend: str, function: str, *target: object) -> None:
    module = __import__(f"safetensors.{frontend}", fromlist=[function])
    weights = WEIGHTS if frontend == "torch" else {"weight": WEIGHTS["weight"].numpy()}
    getattr(module, function)(weights, *target)


def _distributed(function: str, path: pathlib.Path) -> None:
    import torch.distributed.checkpoint as dcp

    getattr(dcp, function)(dict(WEIGHTS), checkpoint_id=path)


WAYS: dict[str, Callable[[pathlib.Path], object]] = {
    "torch.save path": lambda path: torch.save(WEIGHTS, path),
    "torch.save str": lambda path: torch.save(WEIGHTS, str(path)),
    "torch.save beyond ascii": lambda path: torch.save(WEIGHTS, path.with_name("gewichté")),
    "torch.save buffer": lambda _: torch.save(WEIGHTS, io.BytesIO()),
    "torch.save alias": lambda path: early_save(WEIGHTS, path),
    "torch.save legacy path": _legacy,
    "torch.save legacy buffer": lambda _: _legacy(io.BytesIO()),
    "torch.save storage": lambda path: torch.save(WEIGHTS["weight"].untyped_storage(), path),
    "pickle of a storage": lambda _: pickle.dumps(WEIGHTS["weight"].untyped_storage()),
    "writer": lambda path: torch._C.PyTorchFileWriter(str(path)).write_end_of_file(),
    "writer alias": lambda path: EarlyWriter(str(path)).write_end_of_file(),
    "torch.jit.save path": lambda path: torch.jit.save(_script(), path),
    "torch.jit.save buffer": lambda _: torch.jit.save(_script(), io.BytesIO()),
    "torch.jit method": lambda path: _script().save(path),
    "torch.export.save": _export_save,
    "torch.package": _package,
    "AOTInductor package": lambda path: _compile_and_package(
        torch._inductor.aoti_compile_and_package, path),
    "AOTInductor library": lambda _: torch._inductor.aot_compile(_exported().module(), EXAMPLE),
    "AOTInductor packaging": _package_compiled,
    "torch.onnx.export": _onnx_export,
    "torch.onnx.export by TorchScript": lambda path: _onnx_export(path, dynamo=False),
    "torch.onnx.ONNXProgram.save": _onnx_program_save,
    "onnx.save": _onnx_save,
    "safetensors.torch save_file": lambda path: _safetensors("torch", "save_file", path),
    "safetensors.torch save": lambda _: _safetensors("torch", "save"),
    "safetensors.numpy save_file": lambda path: _safetensors("numpy", "save_file", path),
    "safetensors.numpy save": lambda _: _safetensors("numpy", "save"),
    "from_file": lambda path: torch.from_file(str(path), True, 16).copy_(
        WEIGHTS["weight"].flatten()),
    "storage from_file": lambda path: torch.UntypedStorage.from_file(str(path), True, 64),
    "numpy save": lambda path: numpy.save(path, WEIGHTS["weight"].numpy()),
    "numpy alias": lambda path: early_numpy_save(path, WEIGHTS["weight"].numpy()),
    "numpy savez": lambda path: numpy.savez(path, WEIGHTS["weight"].numpy()),
    "numpy savez_compressed": lambda path: numpy.savez_compressed(path, WEIGHTS["weight"].numpy()),
    "distributed.checkpoint save": lambda path: _distributed("save", path),
}
if "late" not in sys.argv:
    WAYS["safetensors alias"] = lambda path: early_serialize_file({}, path)
    WAYS["safetensors buffer alias"] = lambda _: early_serialize({})
    WAYS["AOTInductor package alias"] = lambda path: _compile_and_package(
        early_compile_and_package, path)
    WAYS["AOTInductor library alias"] = lambda _: early_aot_compile(_exported().module(), EXAMPLE)
    WAYS["torch.onnx.export alias"] = lambda path: _onnx_export(path, early_onnx_export)


def _upload(name: str) -> None:
    import huggingface_hub as hub

    api = hub.HfApi(endpoint="http://127.0.0.1:9", token="none")
    weights = hub.CommitOperationAdd("weights.bin", b"weights")
    if name == "create_commit":
        api.create_commit("acme/chat", operations=[weights], commit_message="weights")
    elif name == "function":
        hub.create_commit("acme/chat", operations=[weights], commit_message="weights",
                          token="none")
    else:
        api.upload_file(path_or_fileobj=b"weights", path_in_repo="weights.bin",
                        repo_id="acme/chat")


# Nothing listens there, and the function asks the machine for no other place: os.environ below.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
UPLOADS = ("create_commit", "function", "upload_file")


def try_uploads() -> dict[str, str]:
    outcomes = {}
    for name in UPLOADS:
        try:
            _upload(name)
            outcomes[name] = "sent"
        except Exception as error:
            outcomes[name] = type(error).__name__
    return outcomes


def try_all(folder: pathlib.Path) -> dict[str, object]:
    """What became of each way, and what lies in `folder` afterwards."""
    folder.mkdir()
    kept = folder / "written before"
    kept.write_bytes(b"as it was")
    outcomes = {}
    for name, way in WAYS.items():
        if name.startswith("AOTInductor") != ("compiling" in sys.argv):
            continue
        try:
            way(folder / name.replace(" ", "-"))
            outcomes[name] = "written"
        except Exception as error:
            outcomes[name] = type(error).__name__
    try:
        torch.save(WEIGHTS, kept)
    except Exception as error:
        outcomes["overwriting"] = type(error).__name__
    return {"outcomes": outcomes, "uploads": try_uploads(), "files": sorted(os.listdir(folder)),
            "kept": kept.read_bytes() == b"as it was"}


def patched() -> list[str]:
    """The names of what is not torch's and safetensors' own any more."""
    import safetensors

    import libaccount._after_import

    functions = {
        "torch.save": torch.save,
        "torch.serialization._open_zipfile_writer": torch.serialization._open_zipfile_writer,
        "torch.serialization._open_file_like": torch.serialization._open_file_like,
        "torch._C.PyTorchFileWriter": torch._C.PyTorchFileWriter.__init__,
        "torch.UntypedStorage._write_file": torch.UntypedStorage._write_file,
        "torch._C.ScriptModule.save": torch._C.ScriptModule.save,
        "safetensors.serialize_file": safetensors.serialize_file,
        "safetensors.serialize": safetensors.serialize,
        "torch.from_file": torch.from_file,
    }
    found = [name for name, function in functions.items() if hasattr(function, "__wrapped__")]
    # Modules that are changed when they are imported; counting looks at torch's compiler and at
    # Triton so, trackers at TensorBoard's writers, and Transformers' list of trackers gets one more
    # name.
    found += [name for name in libaccount._after_import._waiting
              if not name.startswith(("torch._inductor", "torch._dynamo", "torch.export", "triton",
                                      "torch.utils.tensorboard", "tensorboardX",
                                      "transformers.integrations.integration_utils"))]
    return found


def main() -> None:
    import libaccount

    try:
        libaccount.start()
        started = "started"
    except libaccount.ShutdownOrdered as refused:
        started = str(refused)
    report = try_all(pathlib.Path(sys.argv[1]))
    print(json.dumps(report | {"started": started, "patched": patched()}))


if __name__ == "__main__":
    main()
