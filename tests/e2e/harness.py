"""Starts jobs under the real `account` command and reads what they leave; asserts nothing itself.

A job under test keeps its own count (jobs/own_count.py) in files that share nothing with
libaccount, so that the two can be compared after any number of kills.
"""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
JOBS = HERE / "jobs"
ROOT = HERE.parent.parent

RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
                  "MASTER_PORT", "GROUP_RANK")

# One OpenMP thread a rank: threads that spin while they wait slow each other down on few cores.
# Everything is on this machine, so gloo stays on the loopback device.
QUIET_MACHINE = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0", "GLOO_SOCKET_IFNAME": "lo",
                 "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}


def script(name: str) -> str:
    """A command of this Python environment, else of the PATH."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"the command {name} is not installed in this environment")
    return found


def torchrun(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", *map(str, arguments)]


def two_ranks(*arguments: object) -> list[str]:
    return torchrun("--standalone", "--nproc-per-node", 2, *arguments)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Account:
    """The `account` command."""

    def __init__(self) -> None:
        self.path = script("account")

    def run_command(self, *options: object, command: list[str]) -> list[str]:
        return [self.path, "run", *map(str, options), "--", *command]

    def __call__(self, *arguments: object, expect: int | None = 0, timeout: float = 120,
                 **keywords) -> subprocess.CompletedProcess:
        command = [self.path, *map(str, arguments)]
        done = subprocess.run(command, text=True, capture_output=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, check=False, **keywords)
        assert expect is None or done.returncode == expect, (
            f"{shlex.join(command)}: exit {done.returncode}, expected {expect}\n"
            f"{done.stdout}{done.stderr}")
        return done

    def verify(self, run: pathlib.Path, expect: int = 0) -> dict:
        return json.loads(self("verify", run, "--json", expect=expect).stdout)

    def live(self, directory: pathlib.Path) -> list[dict]:
        """The runs under a directory that a keeper serves just now."""
        runs = json.loads(self("status", "--json").stdout)["live"]
        return [run for run in runs if pathlib.Path(run["run_folder"]).parent == directory]


class Job:
    """A started command whose output goes to a file; ended, if need be, on leaving `with`."""

    def __init__(self, command: list[str], log: pathlib.Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            kill_tree(self.process.pid)
            self.process.wait()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, expect: int | None = 0, timeout: float = 180) -> int:
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.output()}") from None
        assert expect is None or status == expect, f"exit {status}:\n{self.output()}"
        return status


def run_job(command: list[str], log: pathlib.Path, expect: int = 0, timeout: float = 180,
            **environment: str) -> str:
    with Job(command, log, **environment) as job:
        job.wait(expect, timeout)
        return job.output()


def children(pid: int) -> list[int]:
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # ended meanwhile
            found += [int(child) for child in task.read_text().split()]
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL to a process and all that descend from it, the ones at the top first."""
    below = children(pid)
    kill(pid)
    for child in below:
        kill_tree(child)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(what: str, condition: Callable[[], object], timeout: float = 90) -> object:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout} s: {what}")


@dataclass(frozen=True)
class OwnCount:
    """What one process says of itself: operations of calls begun and of calls that returned."""

    rank: int
    pid: int
    begun: int
    completed: int


def own_counts(folder: pathlib.Path) -> list[OwnCount]:
    """Reads what jobs/own_count.py writes; a process that was killed keeps its file."""
    counts = []
    for path in folder.glob("rank-*-pid-*"):
        _, rank, _, pid = path.name.split("-")
        counts.append(OwnCount(int(rank), int(pid), *struct.unpack("=QQ", path.read_bytes())))
    return counts
