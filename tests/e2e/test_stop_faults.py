"""Each fault once through torchrun: a stop comes while something goes wrong, and nobody trains on.

`tests/e2e/cpp/fault_test.cc` tries each many times on ranks without torch.
"""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
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
    if fault == "disk full":
        resource.prlimit(keeper, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    if fault in JUMPS:
        (own / "jump").write_text(str(JUMPS[fault]))


# Seconds: beyond the root's expiry, and to before there was one.
JUMPS = {"clock ahead": 400 * 86_400, "clock back": -400 * 86_400}


@pytest.fixture(scope="module")
def clock_jump(tmp_path_factory) -> pathlib.Path:
    library = tmp_path_factory.mktemp("preload") / "clock_jump.so"
    source = harness.ROOT / "tests/e2e/cpp/clock_jump.cc"
    subprocess.run(["c++", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("fault", [
    "kill", "sigstop", "loop", "gil", "raise", "segfault", "collective", "write", "backward",
    "init", "keeper kill", "keeper sigstop", "disk full", "traces", "unequal", *JUMPS])
def test_nobody_trains_on(account, authority, tmp_path, clock_jump, fault):
    own = tmp_path / "own"
    own.mkdir()
    job = harness.two_ranks("--max-restarts", 3, PROGRAM, own, fault)
    preload = {}
    if fault in JUMPS:  # of the keeper alone
        job = ["env", "-u", "LD_PRELOAD", *job]
        preload = {"LD_PRELOAD": str(clock_jump), "CLOCK_JUMP": str(own / "jump")}
    command = account.run_command("--run", "r", "--authority", authority.path, "--dir",
                                  tmp_path / "account", command=job)
    ready = 1 if fault in ("backward", "init") else 5
    with harness.Job(command, tmp_path / "log", **preload) as training:
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
    assert_nobody_is_late(own, ordered)
    if fault == "traces":  # the order alone is left
        shutil.rmtree(tmp_path / "account")
    said = account("may-start", "--run", "r", "--authority", authority.path, "--dir",
                   tmp_path / "account", expect=86).stderr
    assert "drill in the tests" in said


def assert_nobody_is_late(own: pathlib.Path, ordered: float) -> None:
    late = [mark for mark in marks(own).values() if mark[2] > ordered + DEADLINE]
    assert not late, "a rank trained beyond the deadline"


@pytest.mark.parametrize("fault", ["store", "one sight"])
def test_nobody_trains_on_at_two_nodes(account, authority, tmp_path, fault):
    own, unseen = tmp_path / "own", tmp_path / "unseen"
    own.mkdir()
    shutil.copytree(authority.path, unseen)
    port = harness.free_port()

    def node(number: int) -> harness.Job:
        obeyed = unseen if fault == "one sight" and number == 1 else authority.path
        return harness.Job(account.run_command(
            "--run", "r", "--node", ("left", "right")[number], "--authority", obeyed, "--dir",
            tmp_path / "account", command=harness.torchrun(
                "--nnodes", 2, "--node-rank", number, "--nproc-per-node", 1, "--max-restarts", 3,
                "--master-addr", "127.0.0.1", "--master-port", port, PROGRAM, own, fault)),
            tmp_path / f"log-{number}")

    def both_train() -> bool:
        seen = marks(own).values()
        return len(seen) == 2 and min(step for _, step, _ in seen) >= 5

    with node(0) as left, node(1) as right:
        harness.wait_until("both ranks to train", both_train)
        if fault == "store":  # and all else on its host
            harness.kill_tree(left.process.pid)
            left.process.wait()
        authority.stop("job:r")
        ordered = time.time()
        harness.wait_until("all ranks to be gone",
                           lambda: not any(map(harness.alive, marks(own))), timeout=90)
        for job in (right,) if fault == "store" else (left, right):
            job.wait(86)
    assert_nobody_is_late(own, ordered)
    account("may-start", "--run", "r", "--authority", authority.path, "--dir",
            tmp_path / "account", expect=86)
