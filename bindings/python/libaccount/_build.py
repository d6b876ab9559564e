"""Builds the adapter for the torch of this Python: what ``account doctor --build`` asks for.

``python -m libaccount._build`` prints one line of JSON: ``torch``, ``adapter`` (its path) and
``seconds``, or ``fault`` and ``fix``. Sources, headers and the library to link are the package's;
nothing is fetched. No job ever calls this.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import _adapters
from ._errors import Error

# As CMake compiles it (libaccount/torch/CMakeLists.txt).
_FLAGS = [
    *("-std=c++20", "-O2", "-DNDEBUG", "-fPIC", "-pthread", "-w"),
    *("-fvisibility=hidden", "-fvisibility-inlines-hidden", "-fno-plt"),
]
# What one file takes more. For GCC; Clang passes over it.
_FLAGS_OF = {"typed.cc": ["-finline-limit=1000", "--param=inline-unit-growth=100"]}
_AT_ONCE = min(os.cpu_count() or 1, 8)
# Whether it loads and counts, as a job would find out.
_TRIAL = "import sys, torch\nfrom libaccount import _load\n_load.core().load_adapter(sys.argv[1])\n"


def build() -> dict[str, str]:
    """Compiles, tries and puts in place. Raises Error with what is missing."""
    from . import _load

    if "ACCOUNT_KEEPER" in os.environ:
        raise Error("this is inside of a job, where nothing is built; build before it starts")
    began = time.monotonic()
    core, package = _load.core(), _load.folder().resolve()
    torch = _torch_folder()
    version = _version_of(torch)
    compiler = _compiler()
    place = _choose_place(core, package, _adapters.minor_of(version))
    with tempfile.TemporaryDirectory() as work:
        built = Path(work) / _adapters.LIBRARY
        objects = _compile(compiler, package, torch, version, Path(work))
        where = "$ORIGIN/.." if place.is_relative_to(package) else str(package / "lib")
        link = [*compiler, "-shared", "-s", "-pthread", "-o", str(built), *objects]
        link += [f"-Wl,-soname,{_adapters.LIBRARY}", "-Wl,--no-undefined", f"-Wl,-rpath,{where}"]
        link += [f"-L{package / 'lib'}", "-laccount", f"-L{torch / 'lib'}", "-ltorch_cpu", "-lc10"]
        _run(link)
        _try(built)
        _put(built, place, package)
    return {
        "torch": version,
        "adapter": str(place),
        "seconds": f"{time.monotonic() - began:.0f}",
    }


def _torch_folder() -> Path:
    spec = importlib.util.find_spec("torch")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(place) / "lib/libtorch_cpu.so").exists():
            return Path(place)
    raise Error(f"{sys.executable} has no torch; install it, or name the job's with --python")


def _version_of(torch: Path) -> str:
    """That of its headers, which an adapter is compiled with (cmake/AccountTorch.cmake)."""
    for name in ("torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"):
        header = torch / "include" / name
        text = header.read_text() if header.exists() else ""
        numbers = re.findall(r"#define TORCH_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text)
        if len(numbers) == 3:
            return ".".join(numbers)
    raise Error(f"{torch} has no headers; install a full PyTorch wheel")


def _compiler() -> list[str]:
    chosen = shlex.split(os.environ.get("CXX", ""))
    names = [chosen[0]] if chosen else ["c++", "g++", "clang++"]
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return [found, *chosen[1:]]
    raise Error(
        f"there is no C++ compiler ({', '.join(names)}); install one that knows C++20 (Debian: "
        "apt-get install g++), or name it with CXX"
    )


def _choose_place(core: Any, package: Path, minor: str) -> Path:
    """The package's folder, where it and the list of its files can be written; else the user's."""
    listed = _record_of(package)
    if os.access(package / "lib", os.W_OK) and (
        listed is None or os.access(listed.parent, os.W_OK)
    ):
        return _adapters.in_package(package, minor)
    place = _adapters.of_user(core, minor)
    try:
        for folder in (*reversed(place.parent.parents), place.parent):
            _make(folder)
        core.refuse_unless_own(str(place.parent))
    except OSError as refused:
        raise Error(
            f"neither {package / 'lib'} nor {place.parent} can be written ({refused}); build as "
            "the user who installed libaccount"
        ) from refused
    return place


def _make(folder: Path) -> None:
    """For all to read, and for this user to write, whatever the umask."""
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o755)


def _record_of(package: Path) -> Path | None:
    """The list of the files that pip has installed, and takes away; None where there is none."""
    return next(package.parent.glob("libaccount-*.dist-info/RECORD"), None)


def _compile(
    compiler: list[str], package: Path, torch: Path, version: str, work: Path
) -> list[str]:
    source = package / "adapter"
    names = sorted((source / "torch").glob("*.cc"))
    headers = torch / "include"
    common = [
        *compiler,
        *_FLAGS,
        f'-DACCOUNT_TORCH_VERSION="{version}"',
        f"-I{source}",
        f"-I{package / 'include'}",
        *("-isystem", str(headers), "-isystem", str(headers / "torch/csrc/api/include")),
        f"-fmacro-prefix-map={torch}/=torch/",
        f"-fmacro-prefix-map={source}/=libaccount/",
    ]
    print(f"account: compiling {len(names)} files for torch {version}", file=sys.stderr)
    objects = [str(work / f"{name.stem}.o") for name in names]
    commands = [
        [*common, *_FLAGS_OF.get(name.name, []), "-c", str(name), "-o", made]
        for name, made in zip(names, objects, strict=True)
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(_run, commands):
            pass
    return objects


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise Error(
            f"{command[0]} does not compile it: {said.strip()}; take a compiler that knows C++20 "
            "(GCC 11, Clang 14) with CXX, or a torch of docs/torch_versions.md"
        )


def _try(library: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TRIAL, str(library)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Error(f"what was built does not count: {said[-1]}; use a torch that has been tried")


def _put(library: Path, place: Path, package: Path) -> None:
    """All or nothing, and listed first, so that `pip uninstall` takes it away whatever happens."""
    bytes_ = library.read_bytes()
    record = _record_of(package)
    if record is not None and place.is_relative_to(package):
        _list(record, place, bytes_)
    _make(place.parent)
    _write(place, bytes_, 0o755)


def _list(record: Path, place: Path, bytes_: bytes) -> None:
    name = place.relative_to(record.parent.parent).as_posix()
    digest = base64.urlsafe_b64encode(hashlib.sha256(bytes_).digest()).rstrip(b"=").decode()
    with record.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0] != name]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(
        [*rows, [name, f"sha256={digest}", str(len(bytes_))]]
    )
    _write(record, text.getvalue().encode(), record.stat().st_mode & 0o777)


def _write(path: Path, bytes_: bytes, mode: int) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(bytes_)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def main() -> None:
    os.environ["ACCOUNT"] = "off"  # the import of torch must start no run
    try:
        print(json.dumps(build()))
    except (Error, OSError) as failed:
        fault, _, fix = str(failed).partition("; ")
        print(json.dumps({"fault": fault, "fix": fix}))


if __name__ == "__main__":
    main()
