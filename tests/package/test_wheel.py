"""The wheel as its users meet it: into an environment of its own, used, and taken away again."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig
import venv
import zipfile

import harness
import pytest

MOST_BYTES = 5_000_000
# What may be needed beside the wheel: the C and C++ runtimes, and what torch brings.
RUNTIME = re.compile(r"(libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|ld-linux-x86-64|libtorch\w*"
                     r"|libc10\w*|libaccount\w*|libnccl)\.so(\.\d+)*")


@pytest.fixture(scope="module")
def wheel() -> pathlib.Path:
    """The one that `make build` has made and installed."""
    (found,) = (harness.ROOT / "build/wheel").glob("libaccount-*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def binaries(folder: pathlib.Path) -> list[pathlib.Path]:
    found = [path for path in folder.rglob("*")
             if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert {path.name for path in found} >= {"account", "libaccount.so", "libaccount_torch.so"}
    return found


def dynamic(path: pathlib.Path, tag: str) -> list[str]:
    text = run("readelf", "-d", path)
    return re.findall(rf"\({tag}\).*\[(.*)\]", text)


def test_it_is_small_and_holds_what_is_used_and_no_more(wheel, unpacked):
    assert wheel.stat().st_size < MOST_BYTES
    names = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert {"libaccount/py.typed", "libaccount/_core.pyi", "libaccount/include/account/run.h",
            "libaccount_autoload/__init__.py",
            "libaccount/integrations/deepspeed/__init__.py"} <= names
    assert any(name.endswith("cmake/account/accountConfig.cmake") for name in names)
    assert not [name for name in names if re.search(r"test_|example|conftest|\.md$|\.a$", name)]
    assert {"libaccount/adapter/torch/adapter.cc", "libaccount/adapter/tally/tally.h"} <= names


def test_it_needs_only_what_torch_needs_too_and_finds_it_where_it_lies(unpacked):
    for path in binaries(unpacked):
        for needed in dynamic(path, "NEEDED"):
            assert RUNTIME.fullmatch(needed), f"{path.name} needs {needed}"
        for where in (part for found in dynamic(path, "RUNPATH") + dynamic(path, "RPATH")
                      for part in found.split(":")):
            assert where.startswith("$ORIGIN"), f"{path.name} looks in {where}"


def test_nothing_in_it_names_the_machine_that_built_it(unpacked):
    for path in unpacked.rglob("*"):
        if path.is_file():
            assert str(harness.ROOT).encode() not in path.read_bytes(), path


@pytest.fixture
def fresh(tmp_path) -> pathlib.Path:
    """An environment with everything of this one but libaccount; its folder."""
    venv.create(tmp_path / "fresh", symlinks=True)
    (packages,) = (tmp_path / "fresh/lib").glob("python3*/site-packages")
    for name in ("purelib", "platlib"):
        for path in pathlib.Path(sysconfig.get_path(name)).iterdir():
            if not path.name.startswith("libaccount") and not (packages / path.name).exists():
                (packages / path.name).symlink_to(path)
    return tmp_path / "fresh"


def run(*words: object, **environment: str) -> str:
    done = subprocess.run([str(word) for word in words], env=os.environ | environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def contents(folder: pathlib.Path) -> set[pathlib.Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_an_adapter_is_built_for_the_torch_at_hand_counts_and_is_taken_away(
        wheel, fresh, tmp_path, monkeypatch):
    """As where the wheel came from another machine, or torch was upgraded since."""
    python, account = fresh / "bin/python", fresh / "bin/account"
    before = contents(fresh)
    run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel)
    (came_along,) = fresh.rglob("libaccount_torch.so")
    folder = came_along.parent
    other = folder.with_name("torch-2.1")
    folder.rename(other)
    (record,) = fresh.rglob("libaccount-*.dist-info/RECORD")
    record.write_text(record.read_text().replace(f"/{folder.name}/", f"/{other.name}/"))
    monkeypatch.setenv("PATH", f"{fresh / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("ACCOUNT_DIR", str(tmp_path / "account"))
    product = [python, "-c", "import torch; torch.ones(2, 3) @ torch.ones(3, 4); print('trained')"]
    counted = [account, "run", "--run", "r", "--", *product]
    why = "there is no torch adapter for torch .*there is: 2.1.; run `account doctor --build`"

    # A job builds nothing: it says so and goes on uncounted, or does not start.
    said = run(*counted)
    assert re.search(f"counting is off: {why}", said) and "trained" in said
    refused = subprocess.run(counted, env=os.environ | {"ACCOUNT_REQUIRE": "count"},
                             capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 1 and "trained" not in refused.stdout
    assert re.search(f"no start: {why}", refused.stderr)
    inside = subprocess.run([account, "run", "--", account, "doctor", "--build"],
                            capture_output=True, text=True, timeout=120, check=False)
    assert inside.returncode == 1 and "inside of a job" in inside.stderr
    assert not folder.exists()

    for compiler, fault in (("no-such-compiler", "there is no C++ compiler (no-such-compiler)"),
                            ("false", "does not compile it")):
        failed = subprocess.run([account, "doctor", "--build"], env=os.environ | {"CXX": compiler},
                                capture_output=True, text=True, timeout=120, check=False)
        assert failed.returncode == 1 and fault in failed.stderr, failed
        assert len(failed.stderr.splitlines()) <= 2
        assert not folder.exists()

    compiler = "ccache c++" if shutil.which("ccache") else "c++"
    said = run(account, "doctor", "--build", CXX=compiler)
    assert str(came_along) in said
    assert sorted(path.parent.name for path in fresh.rglob("libaccount_torch.so")) == sorted(
        [folder.name, other.name])
    assert f"{came_along} fits this torch; torch-2.1 is there too" in run(account, "doctor")
    run(*counted[:3], "again", *counted[4:], ACCOUNT_REQUIRE="count")
    report = json.loads(run(account, "verify", tmp_path / "account/again", "--json"))
    assert (report["ok"], report["operations"]) == (True, "48")

    # For C++ as well, by the version that is asked for.
    prefixes = run(python, "-c", "import libaccount; print(libaccount.cmake_prefix_path)").strip()
    for version in ("", folder.name.removeprefix("torch-"), "2.0"):
        has_nccl = bool(list(fresh.rglob("libaccount_nccl.so")))
        run("cmake", "-S", harness.ROOT / "tests/package/find_package", "-B",
            tmp_path / f"consumer{version}", f"-DCMAKE_PREFIX_PATH={prefixes}",
            f"-Daccount_TORCH_VERSION={version}",
            f"-DEXPECT_TORCH={'OFF' if version == '2.0' else 'ON'}",
            f"-DEXPECT_NCCL={'ON' if has_nccl else 'OFF'}")

    run(python, "-m", "pip", "uninstall", "-q", "-y", "libaccount")
    assert contents(fresh) == before


def test_it_is_installed_counts_is_found_by_cmake_and_leaves_nothing(
        wheel, fresh, tmp_path, monkeypatch):
    python, account = fresh / "bin/python", fresh / "bin/account"
    before = contents(fresh)
    run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel)
    monkeypatch.setenv("PATH", f"{fresh / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("ACCOUNT_DIR")
    monkeypatch.chdir(tmp_path)

    assert "ok      zero lines" in run(account, "doctor")
    run(account, "run", "--run", "r", "--", "python", "-c",
        "import torch; torch.ones(2, 3) @ torch.ones(3, 4)")
    report = json.loads(run(account, "verify", "account/r", "--json"))
    assert (report["ok"], report["operations"]) == (True, "48")
    where = run(python, "-c", "import libaccount; print(libaccount.__file__)")
    assert where.startswith(str(fresh))

    prefixes = run(python, "-c", "import libaccount, torch.utils\n"
                   "print(libaccount.cmake_prefix_path + ';' + torch.utils.cmake_prefix_path)")
    has_nccl = bool(list(fresh.rglob("libaccount_nccl.so")))
    run("cmake", "-S", harness.ROOT / "tests/package/find_package", "-B", tmp_path / "consumer",
        f"-DCMAKE_PREFIX_PATH={prefixes.strip()}", "-DEXPECT_TORCH=ON",
        f"-DEXPECT_NCCL={'ON' if has_nccl else 'OFF'}")
    run("cmake", "--build", tmp_path / "consumer")
    said = subprocess.run([tmp_path / "consumer/consumer"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert "3.00e+25" in said.stdout

    run(python, "-m", "pip", "uninstall", "-q", "-y", "libaccount")
    shutil.rmtree(tmp_path / "account")
    assert contents(fresh) == before
    assert run(python, "-c", "import torch; print('well')") == "well\n"
