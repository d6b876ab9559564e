"""Checks the design of stops (stop.pml), pauses (pause.pml) and what a stop saves (save.pml) with
spin: the right model passes, each mistake fails.

Run by ctest as model.stop and model.save; needs spin and a C compiler. One core, under 2 GB. What
it prints is the whole result: one line a check, with the states visited and the seconds taken.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

MEMORY_MIB = 1900
TOTAL_SECONDS = 2400  # a hung search; all of it takes one to four minutes
FOLDER = pathlib.Path(__file__).parent

# Two nodes of two ranks, one start: agreement. Two nodes of one rank, two starts: what stands.
AGREEMENT = ["LAST_STEP=2"]
TWO_STOPS = ["LAST_STEP=1", "ORDERS=2", "RANK_DEATHS=0", "ALWAYS_EQUAL"]
STANDING = ["RANKS_PER_NODE=1", "STARTS=2", "ORDERS=2", "LAST_STEP=1", "KEEPER_DEATHS=0",
            "RANK_DEATHS=0", "ALWAYS_EQUAL"]
ENDING = ["LAST_STEP=2", "KEEPER_DEATHS=0", "ALWAYS_EQUAL"]
LIFTING = ["RANKS_PER_NODE=1", "STARTS=2", "LAST_STEP=2", "KEEPER_DEATHS=0", "RANK_DEATHS=0",
           "ALWAYS_EQUAL"]
LATCHING = ["RANKS_PER_NODE=1", "ORDERS=2", "LAST_STEP=1", "RANK_DEATHS=0", "ALWAYS_EQUAL"]

# By name of the model: (what is checked, settings, property or None for the assertions, holds)
PAUSE_CHECKS = [
    ("ranks wait at one edge and none passes it", [], None, True),
    ("two pauses, one after the other", ["PAUSES=2", "LAST_STEP=3"], None, True),
    ("a resumed job loses nothing", [], "loses_nothing", True),
    ("a resumed job loses nothing, after two pauses", ["PAUSES=2", "KEEPER_DEATHS=0"],
     "loses_nothing", True),
    ("one node's sight of the resume suffices", ["ONE_SIGHT"], "loses_nothing", True),
    ("a stop during a pause ends it", ["STOP"], "stops", True),
    ("ranks do wait at an agreed edge", [], "never_waits", False),
    ("mistake: the end of a pause is not told", ["ONE_SIGHT", "NOT_TOLD"], "goes_on", False),
    ("mistake: ranks left waiting by a keeper that died", ["LEFT_WAITING"], "goes_on", False),
    ("mistake: a vote raised by the next keeper", ["VOTE_RAISED"], None, False),
    ("mistake: released ranks stay where they are", ["ONE_WAY"], "goes_on", False),
    ("mistake: votes counted whatever they are about", ["PAUSES=2", "VOTES_MIXED", "LAST_STEP=4"],
     None, False),
]
STOP_CHECKS = [
    ("no rank passes the agreed edge; all raise at it", AGREEMENT, None, True),
    ("two stops at once", TWO_STOPS, None, True),
    ("none trains while a stop stands; a lift lifts what it names", STANDING, None, True),
    ("every stop ends in all ranks quiet", ENDING, "every_stop_ends", True),
    ("every stop ends, over lifts and restarts", LIFTING, "every_stop_ends", True),
    ("every stop is latched on every node", LATCHING, "every_stop_is_latched", True),
    ("both keepers can agree", AGREEMENT, "never_agrees", False),
    ("one agrees, one is cut off: the deadline ends the rest", AGREEMENT, "never_forces", False),
    ("a lifted job trains again", LIFTING, "never_resumes", False),
    ("of two stops one lift lifts one", STANDING, "lift_lifts_all", False),
    ("mistake: == for >=", [*AGREEMENT, "EQUAL_ONLY"], None, False),
    ("mistake: a barrier that fails open", [*AGREEMENT, "FAILS_OPEN"], None, False),
    ("mistake: acknowledged before latched", [*STANDING, "ORDERS=1", "ACK_BEFORE_LATCH"], None,
     False),
    ("mistake: a lift clears everything", [*STANDING, "LIFT_CLEARS_ALL"], None, False),
    ("mistake: command read before the edge is published", [*AGREEMENT, "READS_FIRST"], None,
     False),
    ("mistake: each keeper stops at its own vote", [*AGREEMENT, "OWN_VOTE"], None, False),
    ("mistake: a vote forgotten with its keeper", [*AGREEMENT, "VOTE_FORGOTTEN"], None, False),
    ("mistake: a lift dissolves a running stop", [*LIFTING, "LIFT_STOPS_A_STOP"],
     "every_stop_ends", False),
]
# One that is held and one that saves, by whatever comes after it.
HELD = ["FIRST=HOLD", "LIFT"]
SAVE_CHECKS = [
    ("all is saved, nobody is ended who saves, nothing is exported", ["FAULTS"], None, True),
    ("a stop that lets nothing be saved ends a save", ["FAULTS", "SECOND=NONE"], None, True),
    ("a stop that holds loosens none that saves", ["FAULTS", "SECOND=HOLD"], None, True),
    ("a stop that saves ends a wait; a lift ends no stop", [*HELD, "SECOND=SAVE"], None, True),
    ("every stop ends", ["FAULTS"], "all_end", True),
    ("every stop ends, also a second one", ["SECOND=NONE"], "all_end", True),
    ("every stop ends, also with one that holds after it", ["SECOND=HOLD"], "all_end", True),
    ("a wait ends by a stop or a lift", [*HELD, "SECOND=SAVE"], "all_end", True),
    ("a job that was held and lifted loses nothing", [*HELD, "FAULTS"], "loses_nothing", True),
    ("states are saved", [], "never_saves", False),
    ("a save is interrupted", ["SECOND=NONE"], "never_interrupted", False),
    ("who caught its stop is ended", [], "never_ends", False),
    ("ranks do wait for a lift", HELD, "never_waits", False),
    ("mistake: a rank that has saved leaves first", ["LEAVES_FIRST"], None, False),
    ("mistake: no patience till the deadline", ["SHORT_PATIENCE"], None, False),
    ("mistake: the word stands still while others save", ["STANDS_STILL"], None, False),
    ("mistake: a file that does not grow is waited for", ["FAULTS", "FOR_EVER"], "all_end", False),
    ("mistake: the keeper ends who saves", ["ENDS_SAVERS"], None, False),
    ("mistake: who caught its stop lives on", ["NEVER_ENDS"], "all_end", False),
    ("mistake: a save goes on that a stop forbids", ["SECOND=NONE", "GOES_ON_SAVING"], None, False),
    ("mistake: the keeper waits for a save that is forbidden",
     ["FAULTS", "SECOND=NONE", "WAITS_ALL_THE_SAME"], None, False),
    ("mistake: the command before who may save", ["FIRST=HOLD", "SECOND=SAVE", "COMMAND_FIRST"],
     None, False),
    ("mistake: a gate that nobody opens again", [*HELD, "FAULTS", "GATE_FORGOTTEN"],
     "loses_nothing", False),
    ("mistake: an open gate while ranks wait", ["FIRST=HOLD", "GATE_OPEN"], None, False),
    ("mistake: the later stop decides", ["SECOND=HOLD", "LAST_WINS"], "all_end", False),
    ("mistake: a lift takes back a stop", ["LIFT", "LIFT_ENDS_A_STOP"], None, False),
]
MODELS = {"stop": STOP_CHECKS, "pause": PAUSE_CHECKS, "save": SAVE_CHECKS}
# There only the clock goes round for ever.
WITHOUT_FAIRNESS = {"save"}


class CheckFailed(Exception):
    pass


def run(command, folder, seconds):
    try:
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True,
                              timeout=seconds)
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"{command[0]} was not done after {seconds:.0f} s") from None
    return done.returncode, done.stdout + done.stderr


def search(model, settings, claim, long, folder, compiler, seconds):
    """Exhausts the model's states; returns (holds, number of states).

    A search that is not `long` is over before an optimised one has been compiled.
    """
    end = time.monotonic() + seconds
    shutil.copy(FOLDER / f"{model}.pml", folder / "model.pml")
    settings = dict(s.partition("=")[::2] for s in settings)  # a later one replaces an earlier
    defines = [f"-D{name}={value or 1}" for name, value in settings.items()]
    code, said = run(["spin", "-a", *defines, "model.pml"], folder, seconds)
    if code != 0 or not (folder / "pan.c").exists():
        raise CheckFailed(f"spin refuses the model:\n{said}")
    fair = model not in WITHOUT_FAIRNESS
    flags = (["-DNFAIR=4"] if fair else []) if claim else ["-DSAFETY", "-DNOCLAIM"]
    code, said = run([compiler, "-O2" if long else "-O0", "-w", f"-DMEMLIM={MEMORY_MIB}",
                      "-DCOLLAPSE", *flags, "-o", "pan", "pan.c"], folder, end - time.monotonic())
    if code != 0:
        raise CheckFailed(f"pan.c does not compile:\n{said}")
    # Weak fairness: a process that can always go on goes on at last.
    how = ["-a", *(["-f"] if fair else []), "-N", claim] if claim else []
    _, said = run(["./pan", "-m200000", *how], folder, end - time.monotonic())
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored", said)
    if not errors or not states:
        raise CheckFailed(f"pan did not finish:\n{said}")
    holds = errors.group(1) == "0"
    unfinished = re.search(r"out of memory|memory limit|max search depth too small|not completed",
                           said)
    if holds and unfinished:
        raise CheckFailed(f"pan did not visit every state: {unfinished.group(0)}")
    if not holds and not re.search(r"assertion violated|acceptance cycle|claim violated", said):
        raise CheckFailed(f"pan stopped on something else than a property:\n{said}")
    return holds, int(float(states.group(1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, action="append", help="which; may be repeated")
    parser.add_argument("--only", default="", help="checks whose name contains this")
    parser.add_argument("--keep", type=pathlib.Path, help="leave pan and trails here")
    arguments = parser.parse_args()
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if not shutil.which("spin") or not compiler:
        print("model: needs spin and a C compiler: apt-get install spin gcc", file=sys.stderr)
        return 1
    end = time.monotonic() + TOTAL_SECONDS
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        checks = [(model, *check) for model in arguments.model or MODELS for check in MODELS[model]]
        for number, (model, name, settings, claim, expected) in enumerate(checks):
            if arguments.only not in name:
                continue
            folder = (arguments.keep or pathlib.Path(scratch)) / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            begun = time.monotonic()
            try:
                long = model == "stop" and expected
                holds, states = search(model, settings, claim, long, folder, compiler, end - begun)
                good = holds == expected
                found = "holds" if holds else "refuted"
                outcome = f"{found}, {states} states, {time.monotonic() - begun:.1f} s"
            except CheckFailed as failure:
                good, outcome = False, str(failure)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: {outcome}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
