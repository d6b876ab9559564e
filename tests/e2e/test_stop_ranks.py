"""A signed stop ends a plain DDP loop under `account run -- torchrun`, and stands until lifted."""

import json
import pathlib

import harness
import pytest
from authority import Authority

PLAIN_DDP = str(harness.JOBS / "plain_ddp.py")
MANY = 10**6  # steps: such a job ends by being stopped


@pytest.fixture
def authority(account: harness.Account, tmp_path: pathlib.Path) -> Authority:
    return Authority(account, tmp_path)


def job(account: harness.Account, authority: Authority, own: pathlib.Path, *words: object,
        run: str = "r", torchrun: tuple[object, ...] = ()) -> list[str]:
    return account.run_command(
        "--run", run, "--authority", authority.path,
        command=harness.two_ranks(*torchrun, PLAIN_DDP, "--own", own, *words))


def last_steps(own: pathlib.Path) -> dict[str, int]:
    """By rank; fails where more than one process of a rank has trained."""
    steps: dict[str, int] = {}
    for path in own.glob("step-*"):
        _, rank, _ = path.name.split("-")
        assert rank not in steps, f"rank {rank} was trained by two processes"
        steps[rank] = int(path.read_text() or 0)
    return steps


def wait_for_steps(own: pathlib.Path, steps: int) -> None:
    def both_train() -> bool:
        seen = last_steps(own)
        return len(seen) == 2 and min(seen.values()) >= steps
    harness.wait_until("both ranks to train", both_train)


def ledger_lines(run: pathlib.Path) -> list[dict]:
    return [json.loads(line) for path in sorted(run.glob("node-*/ledger/*.jsonl"))
            for line in path.read_text().splitlines()]


@pytest.fixture
def stopped(account, authority, tmp_path):
    """A job of two ranks, stopped from outside in the middle of its training."""
    own = tmp_path / "own"
    words = ("--steps", MANY, "--catch")
    command = job(account, authority, own, *words, torchrun=("--max-restarts", 3))
    with harness.Job(command, tmp_path / "log") as training:
        wait_for_steps(own, 5)
        order = authority.stop("job:r")
        training.wait(86)
        return own, order, training.output()


def test_both_ranks_stop_at_one_step_export_nothing_and_are_not_restarted(
        account, stopped, tmp_path):
    own, _, log = stopped
    steps = last_steps(own)
    assert steps["0"] == steps["1"]
    launched = (own / "launched").read_text().splitlines()
    assert len(launched) > 2, "torchrun tried again"
    assert "no start: " in log, "and each of those starts was refused"

    for rank in ("0", "1"):
        report = json.loads((own / f"exports-{rank}").read_text())
        assert set(report["outcomes"].values()) == {"ExportDenied"}, report["outcomes"]
        assert report["files"] == ["written before"]
        assert report["kept"] is True

    run = tmp_path / "account/r"
    assert account.verify(run)["ok"] is True
    refused = [line for line in ledger_lines(run) if line.get("kind") == "export_refused"]
    assert {line["way"] for line in refused} >= {
        "torch.save", "torch.jit.save", "PyTorchFileWriter", "safetensors.serialize",
        "safetensors.serialize_file", "distributed.checkpoint.save"}
    assert all("drill in the tests" in line["reason"] for line in refused)
    why = json.loads(account("order", "why", run, "--json").stdout)
    assert sum(why["exports_refused"].values()) == len(refused)


def test_only_a_lift_with_two_of_three_keys_lets_it_train_again(
        account, authority, stopped, tmp_path):
    _, order, _ = stopped
    again = tmp_path / "again"
    log = harness.run_job(job(account, authority, again), tmp_path / "log-2", expect=86)
    assert "drill in the tests" in log
    assert not again.exists(), "refused before the command began"

    unrelated = account.run_command(
        "--run", "unrelated", "--dir", tmp_path / "elsewhere", "--authority", authority.path,
        command=[harness.sys.executable, PLAIN_DDP, "--own", str(tmp_path / "unrelated")])
    harness.run_job(unrelated, tmp_path / "log-3")

    authority.lift(order, "ann", "cid")
    harness.run_job(job(account, authority, again), tmp_path / "log-4")
    assert last_steps(again) == {"0": 5, "1": 5}


def test_a_process_that_serves_stops_at_its_guard(account, authority, tmp_path):
    own = tmp_path / "own"
    command = account.run_command("--run", "r", "--authority", authority.path,
                                  command=harness.two_ranks(harness.JOBS / "serves.py",
                                                            "--own", own))
    with harness.Job(command, tmp_path / "log") as serving:
        harness.wait_until("both ranks to serve", lambda: len(list(own.glob("batch-*"))) == 2)
        authority.stop("job:r")
        serving.wait(86)
        ended = [(own / f"batch-{rank}").read_text() for rank in range(2)]
    # Each closed one more step than it answered batches: the last guard let nothing through.
    (quiet,) = [line for line in ledger_lines(tmp_path / "account/r") if line["type"] == "quiet"]
    assert [rank["last_step"] for rank in quiet["ranks"]] == [int(batch) + 1 for batch in ended]


def test_without_a_run_there_is_nothing_to_ask(account):
    done = harness.subprocess.run(
        [harness.sys.executable, "-c", "import libaccount; libaccount.guard()"],
        text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "takes part in no run" in done.stderr
