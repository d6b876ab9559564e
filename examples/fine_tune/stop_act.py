"""The third act: an officer rehearses a stop, then gives it; only a signed lift lets it go on."""

import argparse
import json
import pathlib
import subprocess
import time
from typing import TYPE_CHECKING

import checks

if TYPE_CHECKING:
    from demo import Stage

HERE = pathlib.Path(__file__).resolve().parent
RUN = "stopped"
STOP_AFTER_STEPS = 3
STUCK_AFTER_S = 900  # without one more operation
REHEARSALS = 3
LIFTERS = ("ceo", "cto", "counsel")


def keys_and_authority(stage: "Stage", authority: pathlib.Path) -> None:
    keys = stage.out / "keys"
    for holder in ("officer", "founder", *LIFTERS):
        stage.data(stage.account, "key", "new", holder, "--dir", keys)
    lifts = [word for holder in LIFTERS for word in ("--lift", keys / f"{holder}.pub")]
    stage.command(stage.account, "root", "new", authority, "--name", "demo-cluster",
                  "--stop", keys / "officer.pub", *lifts, "--root", keys / "founder.pub",
                  "--root-threshold", "1", "--sign", keys / "founder.key")


def job(stage: "Stage", args: argparse.Namespace, authority: pathlib.Path, steps: int) -> list:
    plan = ["--steps", steps, "--batch", args.batch, "--length", args.length,
            "--held-out", 2, "--evaluations", 2]
    return [stage.account, "run", "--dir", stage.out / "account", "--run", RUN,
            "--model", "SmolLM2-135M", "--authority", authority, "--",
            stage.scripts / "torchrun", "--standalone", "--nproc-per-node", "2",
            HERE / "defiant_train.py", stage.out, *plan]


def progress(stage: "Stage") -> tuple[int, int]:
    """Steps and operations of the run so far."""
    done = subprocess.run([stage.account, "status", str(stage.out / "account" / RUN), "--json"],
                          capture_output=True, text=True, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else []
    runs = found if isinstance(found, list) else found.get("live", found.get("runs", [found]))
    mine = [run for run in runs if run.get("run") == RUN]
    return (max((int(run.get("steps", 0)) for run in mine), default=0),
            max((int(run.get("job_operations", 0)) for run in mine), default=0))


def wait_for_steps(stage: "Stage", training: subprocess.Popen) -> None:
    """However slow the machine: as long as the job counts operations, it is waited for."""
    operations, since = -1, time.monotonic()
    while True:
        steps, now = progress(stage)
        if steps >= STOP_AFTER_STEPS:
            return
        if now != operations:
            operations, since = now, time.monotonic()
        if training.poll() is not None or time.monotonic() - since > STUCK_AFTER_S:
            training.terminate()
            raise checks.NotAsItMustBe("the fine-tune that was to be stopped did not train")
        time.sleep(0.5)


def rehearse(stage: "Stage") -> None:
    """All ranks come to one step, and go on. Once more where a step took unusually long."""
    for trial in range(REHEARSALS):
        words = [stage.account, "rehearse", str(stage.out / "account" / RUN),
                 "--because", f"drill {trial + 1}", "--wait", "600",
                 "--key", str(stage.out / "keys" / "officer.key")]
        stage.show(words)
        if subprocess.run(words, env=stage.environment, stdin=subprocess.DEVNULL,
                          check=False).returncode == 0:
            return
    raise checks.NotAsItMustBe(f"the ranks came to no common step in {REHEARSALS} rehearsals")


def train_until_stopped(stage: "Stage", args: argparse.Namespace,
                        authority: pathlib.Path) -> None:
    words = [str(word) for word in job(stage, args, authority, 400)]
    stage.show(words)
    training = subprocess.Popen(words, env=stage.environment, stdin=subprocess.DEVNULL)
    wait_for_steps(stage, training)
    rehearse(stage)
    stage.command(stage.account, "stop", stage.out / "account" / RUN,
                  "--because", "drill of the demo", "--ordered-by", "the safety officer",
                  "--key", stage.out / "keys" / "officer.key",
                  "--wait", 600)  # a slow machine takes its time for a step
    if training.wait() != 86:
        raise checks.NotAsItMustBe(f"the stopped job ended with {training.returncode}, not 86")
    print("(the job ended with exit status 86, as it must)", flush=True)


def same_last_step(stage: "Stage") -> str:
    run = stage.out / "account" / RUN
    why = json.loads(stage.data(stage.account, "order", "why", run, "--json"))
    (quiet,) = why["orders"][0]["quiet"]
    steps = {rank["rank"]: rank["last_step"] for rank in quiet["ranks"]}
    if len(steps) != 2 or len(set(steps.values())) != 1:
        raise checks.NotAsItMustBe(f"the ranks stopped at different steps: {steps}")
    return f"Both ranks stopped at step {steps[0]} ({quiet['how']})."


def no_loot(stage: "Stage") -> str:
    files = [path for path in (stage.out / "loot").rglob("*") if path.is_file()]
    if files:
        raise checks.NotAsItMustBe(f"weights got out: {files}")
    return "No file of weights was left behind."


def stop_and_lift(stage: "Stage", args: argparse.Namespace) -> None:
    stage.act("The fine-tune starts again; an officer stops it from outside, and it stays stopped.")
    authority = stage.out / "authority"
    keys_and_authority(stage, authority)
    train_until_stopped(stage, args, authority)
    print(same_last_step(stage))
    print(no_loot(stage))

    print("\nStarted again, it is refused before it trains:")
    stage.command(*job(stage, args, authority, args.steps), expect=86)

    print("\nTwo of the three who may lift it do; then it goes on:")
    keys = stage.out / "keys"
    stage.command(stage.account, "lift", "--all-standing", "--authority", authority,
                  "--key", keys / "ceo.key", "--key", keys / "counsel.key",
                  "--because", "the drill is over")
    stage.command(*job(stage, args, authority, 4))
    stage.command(stage.account, "verify", stage.out / "account" / RUN)
    stage.command(stage.account, "order", "why", stage.out / "account" / RUN)
