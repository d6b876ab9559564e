"""Bad input at the front door: one line that names the thing, the fault and the next step."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import harness
import pytest

KNOWN_OPS = str(harness.JOBS / "known_ops.py")


def one_clear_line(done: subprocess.CompletedProcess, *words: str) -> None:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("account: ") and "; " in lines[0], lines[0]
    for word in words:
        assert word in lines[0], lines[0]


def small_job(own: pathlib.Path) -> list[str]:
    return [sys.executable, KNOWN_OPS, "--own", str(own), "--steps", "3"]


@pytest.fixture
def finished(account, tmp_path) -> pathlib.Path:
    harness.run_job(account.run_command("--run", "r", command=small_job(tmp_path / "own")),
                    tmp_path / "log")
    return tmp_path / "account" / "r"


def test_a_directory_that_cannot_be_written_stops_the_job_before_it_starts(account, tmp_path):
    (tmp_path / "file").write_text("a file where a folder must be")
    done = account("run", "--dir", tmp_path / "file" / "runs", "--", *small_job(tmp_path / "own"),
                   expect=1)
    one_clear_line(done, str(tmp_path / "file"))
    assert not (tmp_path / "own").exists(), "the job was not started"


def test_a_run_folder_of_another_run_is_refused_and_left_alone(account, finished, tmp_path):
    other = finished.with_name("other")
    finished.rename(other)
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    done = account("run", "--run", "other", "--", *small_job(tmp_path / "more"), expect=None)
    assert done.returncode in (1, 2)
    one_clear_line(done, "other")
    assert not (tmp_path / "more").exists()
    assert before == {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}


def test_a_damaged_ledger_is_neither_continued_nor_repaired(account, finished, tmp_path):
    (segment,) = finished.glob("node-*/ledger/*.jsonl")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    done = account("run", "--run", "r", "--", *small_job(tmp_path / "more"), expect=2)
    one_clear_line(done, "ledger/000001.jsonl")
    assert segment.read_bytes() == bytes(data)
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("policy", ["no-such-policy", "us-ca-sb1047"])
def test_an_unknown_policy_is_named(account, finished, policy):
    one_clear_line(account("prove", finished, "--policy", policy, expect=1), policy)


@pytest.mark.parametrize("number", ["many", "1e", "-5", "1.5", "1e39", "", "0x10", "3e25 "])
def test_a_number_that_is_none_is_named(account, number):
    done = account("policy", "judge", "eu-aia-51", "--operations", number, expect=1)
    one_clear_line(done)


def test_a_path_without_a_run_is_named(account, tmp_path):
    done = account("verify", tmp_path / "nothing", expect=None)
    assert done.returncode in (1, 2)
    one_clear_line(done, "nothing")


def test_a_command_that_does_not_exist_is_named(account):
    one_clear_line(account("run", "--", "/no/such/command", expect=127), "/no/such/command")


def full_shared_memory() -> list[str]:
    """A mount namespace of its own whose /dev/shm is full; where namespaces are not to be had, a
    limit that lets the job write small files only.
    """
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-r", "--mount"]
    mount = "mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4096 /dev/zero >/dev/shm/full"
    if subprocess.run([*unshare, "sh", "-c", mount], capture_output=True,
                      check=False).returncode == 0:
        return [*unshare, "sh", "-c", mount + ' && exec "$@"', "sh"]
    return ["prlimit", "--fsize=4096"]


def test_with_a_full_dev_shm_training_goes_on_and_nothing_is_lost(account, tmp_path):
    """Counters fall back to another place; if none serves, the gap is in the ledger."""
    own = tmp_path / "own"
    job = small_job(own)
    full = full_shared_memory()
    if full[0] == "unshare":
        command = [*full, *account.run_command("--run", "r", command=job)]
    else:
        command = account.run_command("--run", "r", command=[*full, *job])
    harness.run_job(command, tmp_path / "log")
    report = account.verify(tmp_path / "account/r")
    (count,) = harness.own_counts(own)
    assert int(report["operations"]) == count.completed or report["gaps"], report


def python_without_torch(tmp_path: pathlib.Path) -> list[str]:
    """This interpreter with libaccount on its path, and nothing else of site-packages."""
    packages = tmp_path / "packages"
    packages.mkdir()
    site = pathlib.Path(sysconfig.get_path("platlib"))
    (packages / "libaccount").symlink_to(site / "libaccount")
    return ["env", f"PYTHONPATH={packages}", sys.executable, "-S"]


def test_without_torch_the_package_imports_and_start_says_what_is_missing(tmp_path):
    code = ("import libaccount as account\n"
            "try: account.start(model='m')\n"
            "except account.Error as error: print(error)\n")
    output = harness.run_job([*python_without_torch(tmp_path), "-c", code], tmp_path / "log")
    assert len(output.splitlines()) == 1 and "torch" in output, output


def test_another_torch_than_the_adapter_s_is_named_and_training_goes_on(account, tmp_path):
    """torch's own version string is all that is changed; the job counts nothing and says so."""
    import torch

    site = tmp_path / "site"
    shutil.copytree(pathlib.Path(torch.__file__).parent, site / "torch", symlinks=False,
                    copy_function=os.symlink)
    version = site / "torch" / "version.py"
    text = version.resolve().read_text()
    version.unlink()
    version.write_text(text.replace(torch.__version__, "2.12.0"))
    job = ["env", f"PYTHONPATH={site}", *small_job(tmp_path / "own")]
    output = harness.run_job(account.run_command("--run", "r", command=job), tmp_path / "log")
    assert (tmp_path / "own" / "done-0").exists()
    assert "2.12" in output and "2.13" in output, output
