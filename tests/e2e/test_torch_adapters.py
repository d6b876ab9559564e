"""An adapter in the user's own folder: found there, and loaded from no place where others write.

That one is built, by `account doctor --build`, is tests/package/test_wheel.py's."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import harness
import pytest

from libaccount import _build

ASK = """
import torch, libaccount as account
with account.count() as counted:
    torch.ones(2, 3) @ torch.ones(3, 4)
print(counted.executed)
"""


class Place:
    """A package without an adapter, and a home that has the one for this torch."""

    def __init__(self, folder: pathlib.Path) -> None:
        installed = pathlib.Path(find_spec("libaccount").origin).parent
        shutil.copytree(installed, folder / "packages/libaccount",
                        ignore=shutil.ignore_patterns("libaccount_torch.so", "adapter"))
        (adapter,) = (installed / "lib").glob("torch-*/libaccount_torch.so")
        self._environment = os.environ | {"PYTHONPATH": str(folder / "packages"),
                                          "HOME": str(folder / "home")}
        build = self.python("from libaccount import _load; print(_load.core().build_id)").stdout
        self.home = folder / "home"
        self.folder = self.home / ".local/share/libaccount" / build.strip() / adapter.parent.name
        self.folder.mkdir(parents=True)
        self.adapter = self.folder / adapter.name
        shutil.copy(adapter, self.adapter)
        for path in (self.adapter, *self.adapter.parents):
            if path.is_relative_to(self.home):
                path.chmod(0o755)

    def python(self, code: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-c", code], env=self._environment, text=True,
                              capture_output=True, timeout=120, check=False)


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def test_it_counts_from_there(place):
    assert place.python(ASK).stdout == "48\n"


@pytest.mark.parametrize("what", ["adapter", "folder", "home"])
def test_what_others_could_have_put_there_is_not_loaded(place, what):
    path = getattr(place, what)
    path.chmod(0o777)
    done = place.python(ASK)
    assert done.returncode == 1
    assert f"{path} can be written by others than its owner" in done.stderr
    assert f"chmod go-w {path}" in done.stderr


def test_one_of_another_build_is_not_looked_for(place):
    place.folder.parent.rename(place.folder.parents[1] / "0123456789abcdef")
    said = place.python(ASK).stderr
    assert "there is no torch adapter for torch" in said
    assert "run `account doctor --build` before the job starts" in said


def test_the_doctor_compiles_it_with_the_flags_of_the_build():
    cmake = (harness.ROOT / "libaccount/torch/CMakeLists.txt").read_text()
    (options,) = re.findall(r"target_compile_options\(account_torch PRIVATE (.*)\)", cmake)
    for flag in options.split():
        assert flag.startswith("$") or flag in _build._FLAGS
    of_files = re.findall(r'set_source_files_properties\((\S+) PROPERTIES COMPILE_OPTIONS\s+"(.*)"',
                          cmake)
    assert {name: options.split(";") for name, options in of_files} == _build._FLAGS_OF
