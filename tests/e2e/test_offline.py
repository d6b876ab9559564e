"""No network: neither a single-process job nor its keeper ever holds an internet socket."""

import contextlib
import os
import pathlib

import harness


def internet_sockets() -> set[str]:
    """Inodes of all internet sockets of this machine."""
    inodes = set()
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        lines = pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        inodes |= {f"socket:[{line.split()[9]}]" for line in lines}
    return inodes


def open_files(pid: int) -> set[str]:
    names = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            names.add(os.readlink(link))
    return names


def test_a_job_and_its_keeper_hold_no_internet_socket(account, tmp_path):
    own = tmp_path / "own"
    command = account.run_command("--run", "r", command=[
        harness.sys.executable, str(harness.JOBS / "known_ops.py"), "--own", str(own),
        "--steps", "60", "--pause", "0.05"])
    looks = 0
    with harness.Job(command, tmp_path / "log") as job:
        harness.wait_until("a live run", lambda: account.live(tmp_path / "account"))
        while job.process.poll() is None:
            for pid in [job.process.pid, *harness.children(job.process.pid)]:
                try:
                    held = open_files(pid) & internet_sockets()
                except OSError:
                    continue  # the process ended
                assert not held, (pid, held)
                looks += 1
        job.wait()
    assert looks > 10
    assert account.verify(tmp_path / "account/r")["ok"]
