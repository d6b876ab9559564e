"""Each fault once through torchrun: a stop comes while something goes wrong, and nobody trains on.

`tests/e2e/cpp/fault_test.cc` tries each many times on ranks without torch.
"""

import os
import pathlib
import signal
import time

import harness
import pytest
from authority import Authority

PROGRAM = str(harness.JOBS / "goes_wrong.py")
# The promise for steps under 2.5 s is 10 s; the rest is for a busy machine, and for torchrun, which
# starts ranks anew before the order has come.
DEADLINE = 10 + 15


@pytest.fixture
def authority(account: harness.Account, tmp_path: pathlib.Path) -> Authority:
    return Authority(account, tmp_path)


def marks(own: pathlib.Path) -> dict[int, tuple[int, int, float]]:
    """By pid: rank, the step that it last began, and when."""
    found = {}
    for path in own.glob("step-*"):
        _, rank, pid = path.name.split("-")
        if words := path.read_text().split():
            found[int(pid)] = (int(rank), int(words[0]), float(words[1]))
    return found


def pid_of(own: pathlib.Path, rank: int) -> int:
    return next(pid for pid, mark in marks(own).items() if mark[0] == rank)


def outside_fault(fault: str, own: pathlib.Path, keeper: int) -> None:
    """What comes from outside; the others rank 1 does by itself."""
    if fault in ("kill", "sigstop"):
        os.kill(pid_of(own, 1), signal.SIGKILL if fault == "kill" else signal.SIGSTOP)
    if fault in ("keeper kill", "keeper sigstop"):
        os.kill(keeper, signal.SIGKILL if fault == "keeper kill" else signal.SIGSTOP)


@pytest.mark.parametrize("fault", [
    "kill", "sigstop", "loop", "gil", "raise", "segfault", "collective", "write", "backward",
    "init", "keeper kill", "keeper sigstop"])
def test_nobody_trains_on(account, authority, tmp_path, fault):
    own = tmp_path / "own"
    own.mkdir()
    command = account.run_command(
        "--run", "r", "--authority", authority.path, "--dir", tmp_path / "account",
        command=harness.two_ranks("--max-restarts", 3, PROGRAM, own, fault))
    ready = 1 if fault in ("backward", "init") else 5
    with harness.Job(command, tmp_path / "log") as training:
        def trains() -> bool:
            if fault == "init":  # no rank comes to a step
                return sum(len(live["ranks"]) for live in account.live(tmp_path / "account")) == 2
            seen = marks(own).values()
            return len(seen) == 2 and min(step for _, step, _ in seen) >= ready

        harness.wait_until("both ranks to train", trains)
        (own / "now").touch()
        time.sleep(0.1)
        outside_fault(fault, own, training.process.pid)
        authority.stop("job:r")
        ordered = time.time()
        harness.wait_until("all processes to be gone", lambda: training.process.poll() is not None
                           and not any(map(harness.alive, marks(own))), timeout=90)
        expected = {"keeper kill": -signal.SIGKILL}.get(fault, 86)
        assert training.process.returncode == expected, training.output()
    late = [mark for mark in marks(own).values() if mark[2] > ordered + DEADLINE]
    assert not late, "a rank trained beyond the deadline"
    said = account("may-start", "--run", "r", "--authority", authority.path, "--dir",
                   tmp_path / "account", expect=86).stderr
    assert "drill in the tests" in said
