"""How long a stop takes: from the order's file in the authority's directory to the last rank quiet.

    halt.py --rank-program PROGRAM [--account PATH] [--ranks N] [--trials N] [--step SECONDS]

Ranks are C++ processes of one node that wait for each other in every step, as in a collective, and
sleep in it. Each trial is a job of its own, stopped at a random moment. Prints the distribution of
the latency, by the keeper's own receipt, and of the steps that ranks began after the order was
there.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import time

PATIENCE_S = 60


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, text=True,
                          capture_output=True).stdout


class Authority:
    """One stop key, two lift keys, and stops that lie ready to be put in place."""

    def __init__(self, account: str, folder: pathlib.Path) -> None:
        self._account, self._folder, self.path = account, folder, folder / "authority"
        for name in ("officer", "ann", "ben"):
            run(account, "key", "new", name, "--dir", folder)
        key = folder.joinpath
        run(account, "root", "new", self.path, "--name", "bench", "--stop", key("officer.pub"),
            "--lift", key("ann.pub"), "--lift", key("ben.pub"), "--root", key("ann.pub"),
            "--sign", key("ann.key"))

    def signed_stop(self, job: str) -> pathlib.Path:
        draft = self._folder / f"{job}.json"
        run(self._account, "stop", f"job:{job}", "--because", "benchmark", "--authority", self.path,
            "--key", self._folder / "officer.key", "--draft", draft)
        return draft

    def deliver(self, draft: pathlib.Path) -> int:
        """Puts it in place whole, as a sender does; returns the wall clock then, in ns."""
        target = self.path / "orders" / draft.name
        staged = target.with_suffix(".tmp")
        staged.write_text(draft.read_text().rstrip("\n"))
        now = time.time_ns()
        staged.rename(target)
        return now

    def receipt(self, job: str) -> dict | None:
        for path in (self.path / "receipts").glob(f"*.{job}.*.json"):
            receipt = json.loads(path.read_text())
            if receipt["state"] == "quiet":
                return receipt
        return None


def start(args: argparse.Namespace, authority: Authority, folder: pathlib.Path,
          job: str) -> subprocess.Popen:
    ranks = " ".join(
        f"RANK={rank} LOCAL_RANK={rank} WORLD_SIZE={args.ranks} LOCAL_WORLD_SIZE={args.ranks} "
        f"{args.rank_program} {folder}/log-{job}-{rank} calls=5 steps=100000 "
        f"seconds={args.step * 100000} couple={folder}/couple-{job} &"
        for rank in range(args.ranks))
    environment = os.environ | {"ACCOUNT_BIN": args.account}
    return subprocess.Popen(
        [args.account, "run", "--quiet", "--dir", folder / "account", "--run", job, "--authority",
         authority.path, "--", "/bin/sh", "-c", ranks + " wait"],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)


def steps_now(account: str, job: str) -> int:
    live = json.loads(run(account, "status", "--json"))["live"]
    return max((rank["steps"] for one in live if one["run"] == job for rank in one["ranks"]),
               default=0)


def wait_for(what: str, condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"halt.py: not within {PATIENCE_S} s: {what}")
        time.sleep(0.01)


def trial(args: argparse.Namespace, authority: Authority, folder: pathlib.Path,
          job: str) -> tuple[float, str]:
    training = start(args, authority, folder, job)
    wait_for("the job to train", lambda: steps_now(args.account, job) > 2)
    draft = authority.signed_stop(job)
    time.sleep(random.uniform(0, 2 * args.step + 1))
    ordered_ns = authority.deliver(draft)
    wait_for("all ranks to be quiet", lambda: authority.receipt(job))
    receipt = authority.receipt(job)
    training.wait()
    return (int(receipt["quiet_unix_ns"]) - ordered_ns) / 1e9, receipt["how"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rank-program", required=True)
    parser.add_argument("--account", default=shutil.which("account"))
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--step", type=float, default=0.1)
    args = parser.parse_args()
    latencies, agreed = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        authority = Authority(args.account, folder)
        for number in range(args.trials):
            latency, how = trial(args, authority, folder, f"halt-{os.getpid()}-{number}")
            latencies.append(latency)
            agreed += how == "agreed"
    latencies.sort()
    centiles = statistics.quantiles(latencies, n=100, method="inclusive")
    print(f"{args.ranks} ranks, a step of {args.step} s, {args.trials} stops, {agreed} agreed on")
    print("from the order's file to the last rank quiet: "
          f"median {centiles[49]:.2f} s, p90 {centiles[89]:.2f} s, p99 {centiles[98]:.2f} s, "
          f"worst {latencies[-1]:.2f} s")
    print(f"p99 in steps: {centiles[98] / args.step:.1f}")


if __name__ == "__main__":
    main()
