"""Two nodes in network namespaces of their own, whose link is cut as a stop arrives.

Both see the authority's directory, as on a shared file system; their ranks and their store do not
see each other any more, and no packet says so.
"""

import pathlib
import subprocess
import time

import harness
import pytest
from authority import Authority
from test_stop_faults import DEADLINE, PROGRAM, assert_nobody_is_late, marks

ADDRESSES = ("10.81.0.1", "10.81.0.2")


class TwoNetworks:
    """A link between two namespaces that live as long as a process in each."""

    def __init__(self) -> None:
        self._holders = [subprocess.Popen(["unshare", "--net", "sleep", "600"]) for _ in ADDRESSES]
        own = pathlib.Path("/proc/self/ns/net").readlink()
        harness.wait_until("the namespaces", lambda: all(
            pathlib.Path(f"/proc/{holder.pid}/ns/net").readlink() != own
            for holder in self._holders))
        self._ip(0, "link", "add", "left", "type", "veth", "peer", "name", "right")
        self._ip(0, "link", "set", "right", "netns", str(self._holders[1].pid))
        for node, (name, address) in enumerate(zip(("left", "right"), ADDRESSES, strict=True)):
            self._ip(node, "address", "add", f"{address}/24", "dev", name)
            self._ip(node, "link", "set", name, "up")
            self._ip(node, "link", "set", "lo", "up")

    def inside(self, node: int, *command: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._holders[node].pid}/ns/net", *command]

    def _ip(self, node: int, *words: str) -> None:
        subprocess.run(self.inside(node, "ip", *words), check=True)

    def cut(self) -> None:
        self._ip(0, "link", "set", "left", "down")

    def end(self) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()


@pytest.fixture
def networks():
    made = TwoNetworks()
    yield made
    made.end()


def test_nodes_that_lose_each_other_stop_each_by_itself(account, networks, tmp_path):
    authority = Authority(account, tmp_path)
    own = tmp_path / "own"
    own.mkdir()

    def node(number: int) -> harness.Job:
        # The fault of goes_wrong.py is none: what goes wrong is the network.
        command = account.run_command(
            "--run", "r", "--node", ("left", "right")[number], "--authority", authority.path,
            "--dir", tmp_path / "account", command=harness.torchrun(
                "--nnodes", 2, "--node-rank", number, "--nproc-per-node", 1, "--max-restarts", 3,
                "--master-addr", ADDRESSES[0], "--master-port", 29500, PROGRAM, own, "none"))
        return harness.Job(networks.inside(number, *command), tmp_path / f"log-{number}",
                           GLOO_SOCKET_IFNAME=("left", "right")[number])

    def both_train() -> bool:
        seen = marks(own).values()
        return len(seen) == 2 and min(step for _, step, _ in seen) >= 5

    with node(0) as left, node(1) as right:
        harness.wait_until("both ranks to train", both_train)
        networks.cut()
        time.sleep(1)
        authority.stop("job:r")
        ordered = time.time()
        harness.wait_until("all ranks to be gone",
                           lambda: not any(map(harness.alive, marks(own))), timeout=DEADLINE)
        # torchrun itself waits for a node that it cannot see, until it is ended, too.
        for job in (left, right):
            job.wait(86)
    assert_nobody_is_late(own, ordered)
    account("may-start", "--run", "r", "--authority", authority.path, "--dir",
            tmp_path / "account", expect=86)
