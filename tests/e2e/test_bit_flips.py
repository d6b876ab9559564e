"""One changed bit anywhere in a run is refused by `verify` and `prove`, with its place."""

import pathlib
import random
import shutil
import sys

import harness
import pytest

POLICY = "us-ca-sb1047-enrolled"
FLIPS_A_FILE = 12


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("finished")
    command = harness.Account().run_command(
        "--dir", folder / "account", "--run", "r",
        command=[sys.executable, str(harness.JOBS / "known_ops.py"), "--own", str(folder / "own")])
    harness.run_job(command, folder / "log", **harness.QUIET_MACHINE)
    return folder / "account" / "r"


def files_of(run: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size)


def refused(account: harness.Account, run: pathlib.Path, changed: pathlib.Path) -> None:
    """Exit 2 from both, and the problem names the file that was changed."""
    report = account.verify(run, expect=2)
    assert report["ok"] is False
    problem = report["problems"][0]
    assert changed.name in f"{problem['place']}: {problem['fault']}", (changed, problem)
    for verb in (["verify", run], ["prove", run, "--policy", POLICY]):
        done = account(*verb, expect=2)
        assert problem["place"] in done.stdout + done.stderr, done


def test_the_untouched_run_is_accepted(account, finished_run):
    assert account.verify(finished_run)["ok"] is True
    account("prove", finished_run, "--policy", POLICY)


def test_any_one_bit_of_any_file_is_refused_with_its_place(account, finished_run, tmp_path):
    files = files_of(finished_run)
    assert len(files) >= 3  # run.json, a ledger segment, the checkpoint
    chosen = random.Random(20)
    for original in files:
        size = original.stat().st_size
        for bit in [*chosen.sample(range(size * 8), FLIPS_A_FILE), 0, size * 8 - 1]:
            copy = tmp_path / "copy"
            shutil.copytree(finished_run, copy)
            changed = copy / original.relative_to(finished_run)
            data = bytearray(changed.read_bytes())
            data[bit // 8] ^= 1 << bit % 8
            changed.write_bytes(data)
            refused(account, copy, changed)
            shutil.rmtree(copy)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_ledger_that_was_cut_is_refused(account, finished_run, tmp_path, cut):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    (segment,) = copy.glob("node-*/ledger/*.jsonl")
    segment.write_bytes(segment.read_bytes()[:-cut])
    assert account.verify(copy, expect=2)["problems"]


def test_a_removed_file_is_refused(account, finished_run, tmp_path):
    for original in files_of(finished_run):
        copy = tmp_path / "copy"
        shutil.copytree(finished_run, copy)
        (copy / original.relative_to(finished_run)).unlink()
        assert account.verify(copy, expect=2)["problems"], original
        shutil.rmtree(copy)


def test_another_key_than_the_endorser_s_is_refused(account, finished_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    for name in ("developer", "stranger"):
        account("key", "new", name, "--dir", tmp_path)
    account("verify", copy, "--key", tmp_path / "developer.pub", expect=2)  # not endorsed yet
    account("sign", copy, "--key", tmp_path / "developer.key")
    account("verify", copy, "--key", tmp_path / "developer.pub")
    account("verify", copy, "--key", tmp_path / "stranger.pub", expect=2)
    assert account.verify(copy)["trusted"] is False
