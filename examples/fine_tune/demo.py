"""The whole way in acts: a real fine-tune is counted, signed, judged, verified, stopped and lifted.

`make demo` calls it. Each act is narrated, each command is shown as one would type it, and the
exit status is non-zero if anything was not as it must be. Knows libaccount only through the
`account` command and the scripts beside it.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time

import checks
from stop_act import stop_and_lift

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = pathlib.Path(sysconfig.get_path("scripts"))
POLICY = "us-ca-sb1047-enrolled"
RANKS = 2
RUN = "fine-tune"


def shown(part: str) -> str:
    """A path as one types it from here."""
    path = pathlib.Path(part)
    if path.is_absolute() and path.is_relative_to(pathlib.Path.cwd()):
        return str(path.relative_to(pathlib.Path.cwd()))
    return part


def say(text: str = "") -> None:
    print(text, flush=True)


class Stage:
    """Runs the commands of the demo; owns the folder that everything is left in."""

    def __init__(self, out: pathlib.Path) -> None:
        self.out = out
        self.run_folder = out / "account" / RUN
        self.account = str(SCRIPTS / "account")
        self.scripts = SCRIPTS
        self.act_number = 0
        self.environment = os.environ | {
            "PATH": f"{SCRIPTS}:{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
            # One thread a rank: the two ranks already fill two cores, and OpenMP threads that spin
            # while waiting slow each other down.
            "OMP_NUM_THREADS": "1",
            "GOMP_SPINCOUNT": "0",
            # Both ranks are here: nothing has to leave the loopback device.
            "GLOO_SOCKET_IFNAME": "lo",
        }

    def act(self, title: str) -> None:
        self.act_number += 1
        say(f"\n=== Act {self.act_number}. {title}")

    def show(self, words: list[str]) -> None:
        say(f"\n$ {shlex.join(shown(word) for word in words)}")

    def command(self, *parts: object, expect: int = 0) -> None:
        """Runs it with its output as it comes. Any other exit status ends the demo."""
        words = [str(part) for part in parts]
        self.show(words)
        status = subprocess.run(words, env=self.environment, stdin=subprocess.DEVNULL,
                                check=False).returncode
        if status != expect:
            raise checks.NotAsItMustBe(f"exit status {status}, but it must be {expect}")
        if expect:
            say(f"(exit status {status}, as it must be)")

    def data(self, *parts: object, expect: int = 0) -> str:
        """Runs it for what it writes to stdout; talk on stderr is shown."""
        done = subprocess.run([str(part) for part in parts], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        if done.returncode != expect:
            raise checks.NotAsItMustBe(f"{shlex.join(map(str, parts))}: exit {done.returncode}")
        return done.stdout


def prepare(stage: Stage) -> None:
    say("Before the acts: SmolLM2-135M (dequantised Q4_1) and The Devil's Dictionary, once.")
    stage.command(sys.executable, HERE / "prepare.py", stage.out)
    for left_over in ("account", "keys", "tampered", "authority", "loot", "report", "archive"):
        shutil.rmtree(stage.out / left_over, ignore_errors=True)
    (stage.out / "keys").mkdir(mode=0o700)


def plan_options(args: argparse.Namespace) -> list[str]:
    return ["--steps", str(args.steps), "--batch", str(args.batch), "--length", str(args.length),
            "--held-out", str(args.held_out), "--evaluations", str(args.evaluations)]


def fine_tune(stage: Stage, args: argparse.Namespace) -> None:
    stage.act(f"Fine-tunes SmolLM2-135M on {RANKS} ranks; `account run` in front of the command "
              "is all that counting takes.")
    stage.command(
        stage.account, "run", "--dir", stage.out / "account", "--run", RUN,
        "--model", "SmolLM2-135M", "--policy", POLICY, "--",
        SCRIPTS / "torchrun", "--standalone", "--nproc-per-node", RANKS,
        HERE / "train.py", stage.out, *plan_options(args), "--losses", stage.out / "losses.json")
    say(checks.loss_fell(stage.out / "losses.json"))


def evidence(stage: Stage, args: argparse.Namespace) -> None:
    stage.act("Verifies the total, endorses it, proves it below 3x10^25, and checks it on paper.")
    stage.command(stage.account, "verify", stage.run_folder)
    report = stage.data(stage.account, "verify", stage.run_folder, "--json")
    say("\nThe same total from a closed formula, from config.json and the plan alone:")
    say(checks.equals_closed_form(report, stage.out / "model/config.json", args, RANKS))
    say("\nOne forward and backward with explicit attention, beside PyTorch's FlopCounterMode:")
    stage.command(sys.executable, HERE / "same_as_flop_counter.py", stage.out / "model")

    say("\nThe developer endorses the ledger with a key of their own, and anyone can check it:")
    stage.command(stage.account, "key", "new", "developer", "--dir", stage.out / "keys")
    key = stage.out / "keys" / "developer"
    stage.command(stage.account, "sign", stage.run_folder, "--key", f"{key}.key")
    stage.command(stage.account, "verify", stage.run_folder, "--key", f"{key}.pub")
    stage.command(stage.account, "prove", stage.run_folder, "--policy", POLICY,
                  "--key", f"{key}.pub")

    say("\nFor people, and to keep: a page, and an archive that plain Python checks:")
    stage.command(stage.account, "report", stage.run_folder, "--key", f"{key}.pub",
                  "--policy", POLICY, "--policy", "eu-aia-51", "--out", stage.out / "report")
    stage.command(stage.account, "archive", stage.run_folder, "--key", f"{key}.pub",
                  "--out", stage.out / "archive")
    stage.command(sys.executable, "-I", "-S", stage.out / "archive" / "verify.py",
                  stage.out / "archive", f"{key}.pub")

    say("\nOne bit of a copy of the ledger is changed:")
    copy = stage.out / "tampered" / RUN
    shutil.copytree(stage.run_folder, copy)
    say(checks.flip_one_bit(copy))
    stage.command(stage.account, "verify", copy, expect=2)
    stage.command(stage.account, "prove", copy, "--policy", POLICY, expect=2)


def next_commands(stage: Stage) -> None:
    account, run = shown(stage.account), shown(str(stage.run_folder.absolute()))
    say("\nTry next:")
    say(f"  {account} status {run}")
    say(f"  {account} verify {run} --json")
    say(f"  {account} prove {run} --policy eu-aia-51")
    say(f"  {account} policy judge {POLICY} --operations 3e25 --cost 20000000")
    say(f"  {account} run -- torchrun --nproc-per-node 2 your_train.py")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/demo"))
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--length", type=int, default=128, help="tokens of a sample")
    args = parser.parse_args()
    args.batch, args.held_out, args.evaluations = 4, 8, 3

    start = time.monotonic()
    stage = Stage(args.out)
    try:
        prepare(stage)
        for act in (fine_tune, evidence, stop_and_lift):
            act(stage, args)
    except checks.NotAsItMustBe as fault:
        print(f"\nThe demo FAILED in act {stage.act_number}: {fault}", file=sys.stderr)
        return 1
    next_commands(stage)
    say(f"\nAll {stage.act_number} acts passed in {time.monotonic() - start:.0f} s; "
        f"everything is under {shown(str(args.out))}/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
