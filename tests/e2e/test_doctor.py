"""`account doctor` finds each of these prepared faults, names what to do, and finds none elsewhere;
`--footprint` shows what a job has of the library in its process, and nothing under ACCOUNT=off."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import files
from importlib.util import find_spec

import harness
import pytest
from authority import Authority

MONTH = 31 * 86_400 * 10**9


def examine(account: harness.Account, *words: object, expect: int = 1,
            command: tuple[str, ...] = (), **environment: str) -> dict[str, list[dict]]:
    """What it finds, by what it is about; without what is well."""
    tail = ["--", *command] if command else []
    done = account("doctor", "--json", *words, *tail, expect=expect,
                   env=os.environ | environment)
    found: dict[str, list[dict]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        if finding["condition"] != "ok":
            assert finding["fix"], finding
            found.setdefault(finding["about"], []).append(finding)
    return found


def expect_fault(found: dict[str, list[dict]], about: str, says: str, fix: str) -> None:
    faults = [finding for finding in found.get(about, ()) if finding["condition"] == "fault"]
    assert any(re.search(says, fault["says"]) and re.search(fix, fault["fix"])
               for fault in faults), (about, says, fix, found)


def test_a_healthy_place_has_no_fault(account, tmp_path):
    found = examine(account, "--dir", tmp_path / "account", expect=0)
    assert not any(finding["condition"] == "fault" for about in found.values()
                   for finding in about), found
    assert "authority" in found  # a remark: nobody can stop this job


def test_each_value_is_shown_with_its_origin(account, tmp_path):
    done = account("doctor", "--json", "--run", "r", "--policy", "eu-aia-51",
                   env=os.environ | {"ACCOUNT_DIR": str(tmp_path), "ACCOUNT_RUN": "other"})
    values = json.loads(done.stdout)["settings"]
    assert values["run"] == {"value": "r", "origin": "--run"}
    assert values["policies"] == {"value": "eu-aia-51", "origin": "--policy"}
    assert values["dir"] == {"value": str(tmp_path), "origin": "ACCOUNT_DIR"}
    assert values["authority"] == {"value": "nobody", "origin": "default"}


def test_faults_of_the_place_all_at_once(account, tmp_path):
    plain, table, policy = (tmp_path / name for name in ("plain", "devices.json", "policy.json"))
    plain.write_text("a file")
    table.write_text('{"devices": 7}')
    policy.write_text("{")
    words = ["--dir", plain / "account", "--metrics", tmp_path / "none", "--exchange",
             plain / "shared", "--policy", "us-ca-sb1048", "--policy", policy,
             "--authority", tmp_path / "nobody"]
    limited = ["sh", "-c", 'ulimit -f 1024; exec "$0" "$@"', account.path, "doctor", "--json",
               *map(str, words)]
    done = subprocess.run(limited, env=os.environ | {
        "ACCOUNT_POLCIES": "eu-aia-51", "ACCOUNT_DEVICES": str(table), "ACCOUNT": "off",
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}, capture_output=True, text=True, timeout=120,
        check=False)
    assert done.returncode == 1, done.stderr
    found: dict[str, list[dict]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["about"], []).append(finding)
    expect_fault(found, "variables", "ACCOUNT_POLCIES", "did you mean ACCOUNT_POLICIES")
    expect_fault(found, "settings", "ACCOUNT=off", "unset ACCOUNT")
    expect_fault(found, "ledger", f"{plain}/account cannot be written", "name another folder")
    expect_fault(found, "metrics", f"{tmp_path}/none cannot be written", "make it")
    expect_fault(found, "exchange", f"{plain}/shared cannot be written", "make it")
    expect_fault(found, "policies", "us-ca-sb1048", "account policy list|us-ca-sb1047")
    expect_fault(found, "policies", re.escape(str(policy)), ".")
    expect_fault(found, "devices", re.escape(str(table)), "unset ACCOUNT_DEVICES|.")
    expect_fault(found, f"authority {tmp_path}/nobody", "root.json", "path")
    expect_fault(found, "limits", "files may be", "ulimit -f unlimited")
    expect_fault(found, "zero lines", "TORCH_DEVICE_BACKEND_AUTOLOAD=0", "unset it")
    assert not any(path.name.startswith(".account-doctor") for path in tmp_path.rglob("*"))


def test_settings_that_cannot_be(account, tmp_path):
    found = examine(account, ACCOUNT_SETTING="halt")
    expect_fault(found, "settings", "'halt' is no setting", "count, stop or lock")
    found = examine(account, "--setting", "stop")
    expect_fault(found, "settings", "needs an authority", "--authority")
    found = examine(account, ACCOUNT_SEAL_SECONDS="soon")
    expect_fault(found, "settings", "ACCOUNT_SEAL_SECONDS is 'soon'", "0.1 to 3600")
    found = examine(account, "--parent", tmp_path / "none.safetensors")
    expect_fault(found, "origins", "none.safetensors", ".")


def test_an_authority_that_would_not_be_obeyed(account, tmp_path):
    authority = Authority(account, tmp_path)
    found = examine(account, "--authority", f"{authority.path}#{'0' * 64}")
    expect_fault(found, f"authority {authority.path}#{'0' * 64}", "root", "compare with the digest")

    found = examine(account, "--authority", authority.path, expect=0)
    about = f"authority {authority.path}"
    assert "not pinned" in found[about][0]["says"]
    pinned = found[about][0]["fix"].removeprefix("give ")
    assert "no job has ever obeyed" in found["rehearsal"][0]["says"]

    # A job rehearses; a month later that proves nothing any more.
    job = account.run_command("--run", "drilled", "--authority", pinned, command=[
        sys.executable, "-c", "import time, torch, libaccount\n"
        "run = libaccount.start()\nwhile True: run.step(); time.sleep(0.01)"])
    with harness.Job(job, tmp_path / "log"):
        harness.wait_until("the job to train", lambda: [
            live for live in account.live(tmp_path / "account") if live["steps"]])
        account("rehearse", "drilled", "--because", "drill", "--key", authority.key("officer"),
                "--authority", authority.path)
    found = examine(account, "--authority", pinned, expect=0)
    assert "rehearsal" not in found and f"authority {pinned}" not in found
    (receipt,) = (authority.path / "receipts").rglob("*.json")
    said = json.loads(receipt.read_text())
    for name in [name for name in said if name.endswith("_unix_ns")]:
        said[name] = str(int(said[name]) - MONTH)
    receipt.write_text(json.dumps(said))
    found = examine(account, "--authority", pinned)
    expect_fault(found, "rehearsal", "31 days ago", "account rehearse")

    authority.stop("all")
    found = examine(account, "--authority", pinned)
    expect_fault(found, "orders", "stop", "lift|account order why")


def test_a_run_that_was_changed_afterwards(account, tmp_path):
    harness.run_job(account.run_command("--run", "r", command=[
        sys.executable, "-c", "import torch; torch.ones(2, 2) @ torch.ones(2, 2)"]),
        tmp_path / "log")
    assert "newest run" not in examine(account, expect=0)
    (ledger,) = (tmp_path / "account/r").glob("node-*/ledger/*.jsonl")
    text = ledger.read_text()
    assert '"16"' in text
    ledger.write_text(text.replace('"16"', '"15"'))
    found = examine(account)
    expect_fault(found, "newest run", "does not verify", "account verify")


@pytest.fixture
def bare(tmp_path) -> pathlib.Path:
    """An environment of its own, with nothing in it; its site-packages."""
    venv.create(tmp_path / "bare", symlinks=True)
    (packages,) = (tmp_path / "bare/lib").glob("python3*/site-packages")
    return packages


def python_of(packages: pathlib.Path) -> str:
    return str(packages.parents[2] / "bin/python")


def installed() -> pathlib.Path:
    return pathlib.Path(find_spec("libaccount").origin).parent


def test_a_python_without_libaccount(account, bare):
    found = examine(account, "--python", python_of(bare))
    expect_fault(found, "python", "no libaccount that works", "pip install libaccount")
    # The command's own is asked where it begins with one.
    found = examine(account, command=(python_of(bare), "train.py"))
    expect_fault(found, "python", re.escape(python_of(bare)), "pip install libaccount")


def test_a_python_without_torch_and_a_package_that_torch_does_not_know(account, bare):
    (bare / "libaccount").symlink_to(installed())
    found = examine(account, "--python", python_of(bare))
    expect_fault(found, "torch", "cannot import torch", "install it")
    expect_fault(found, "zero lines", "finds no entry point", "pip install libaccount")


def test_a_torch_of_another_version(account, bare):
    (bare / "libaccount").symlink_to(installed())
    (bare / "torch").mkdir()
    (bare / "torch/__init__.py").write_text('__version__ = "2.99.0"\n')
    found = examine(account, "--python", python_of(bare))
    expect_fault(found, "adapter", r"no torch adapter for torch 2.99.0 \(there is: 2\.",
                 "run `account doctor --build`")
    assert "has not been tried" in found["torch"][0]["says"]


def test_an_adapter_that_is_not_there(account, bare):
    shutil.copytree(installed(), bare / "libaccount",
                    ignore=shutil.ignore_patterns("libaccount_torch.so", "include"))
    (bare / "rest.pth").write_text(str(installed().parent))
    found = examine(account, "--python", python_of(bare))
    expect_fault(found, "adapter", "no torch adapter for torch .*there is: none",
                 "run `account doctor --build`")


def test_every_variable_that_is_read_is_known_and_in_the_table(account):
    """The sources say what is read; the page and `doctor` must know all of it."""
    read = set()
    for folder in ("libaccount", "bindings/python", "integrations"):
        for path in (harness.ROOT / folder).rglob("*"):
            reads = not path.name.startswith(("test_", "doctor"))
            if reads and path.suffix in (".cc", ".h", ".py"):
                read |= set(re.findall(r'"(ACCOUNT_[A-Z_]+)"', path.read_text()))
    read -= {"ACCOUNT_CATEGORY"}  # a name inside torch
    page = (harness.ROOT / "docs/cli.md").read_text()
    assert not {name for name in read if f"`{name}`" not in page}
    found = examine(account, expect=0, **dict.fromkeys(
        read - {"ACCOUNT_AUTHORITY", "ACCOUNT_DEVICES", "ACCOUNT_PYTHON", "ACCOUNT_POLICIES"}, ""))
    assert "variables" not in found


def test_the_footprint_of_a_job_and_of_none(account):
    found = json.loads(account("doctor", "--footprint", "--json").stdout)
    assert "torch.library.Library.define" in found["patches"]
    assert "torch.optim.optimizer._global_optimizer_post_hooks" in found["hooks"]
    assert "torch._inductor.output_code" in found["imports"]
    assert [pathlib.Path(path).name for path in found["libraries"]][-1] == "libaccount_torch.so"
    assert len(found["shared_files"]) == 1
    assert found["threads"] == ["account"]
    assert found["signals"] == []
    off = json.loads(account("doctor", "--footprint", "--json",
                             env=os.environ | {"ACCOUNT": "off"}).stdout)
    assert off == {key: [] for key in found}


def test_a_job_under_account_off_has_nothing_of_it_though_the_script_names_it(
        monkeypatch, tmp_path):
    """Only Transformers' list of trackers is waited for: report_to="libaccount" must not fail."""
    monkeypatch.delenv("ACCOUNT_DIR")
    code = ("import json, torch, libaccount\n"
            "run = libaccount.start()\n"
            "torch.nn.Linear(2, 2)(torch.ones(2, 2)).sum().backward()\n"
            "run.step(); run.finish()\n"
            "print(json.dumps(libaccount.footprint()))\n")
    said = subprocess.run([sys.executable, "-c", code], env=os.environ | {"ACCOUNT": "off"},
                          cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(said.stdout)
    assert found.pop("imports") == ["transformers.integrations.integration_utils"]
    libraries = [pathlib.Path(path).name for path in found.pop("libraries")]
    assert "libaccount_torch.so" not in libraries
    assert found == {key: [] for key in found}
    assert list(tmp_path.iterdir()) == []


def test_torch_tells_the_package_by_its_entry_point():
    """Which is what `zero lines` looks for."""
    (entry,) = (file for file in files("libaccount") if file.name == "entry_points.txt")
    assert "libaccount_autoload:init" in entry.read_text()
