"""Runs every test: the C++ programs through ctest, the Python tests through pytest.

Ends with one plain line that adds both up, and exits non-zero if a test failed, if one was left
out, or if either of the two found nothing to run. Files of Python tests run side by side: what a
test starts is its own by its folder, its ports and the ids of its runs.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass, field
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The longest first, so that no file is left to one worker alone at the end.
PYTHON_TESTS = ["integrations", "tests", "bindings", "examples"]
# A test may be a job of several processes: more files at once only make them wait for each other.
SIDE_BY_SIDE = min(os.cpu_count() or 1, 4)


@dataclass
class Outcome:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_junit(path: pathlib.Path) -> Outcome:
    """ctest and pytest write the same format, but for how ctest marks what did not run."""
    outcome = Outcome()
    if not path.exists():
        return outcome
    for case in ElementTree.parse(path).iter("testcase"):
        name = "::".join(filter(None, [case.get("classname"), case.get("name")]))
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(name)
        elif case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
            outcome.left_out.append(name)
        else:
            outcome.passed += 1
    return outcome


def run(title: str, command: list[str], report: pathlib.Path) -> Outcome:
    print(f"== {title}", flush=True)
    report.unlink(missing_ok=True)
    status = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                            check=False).returncode
    outcome = read_junit(report)
    if status != 0 and not outcome.failed:
        outcome.failed.append(f"{title}: exit status {status}")
    if outcome.passed == 0 and not outcome.failed:
        outcome.failed.append(f"{title}: found no test")
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the CMake build tree")
    args = parser.parse_args()
    build = args.build.resolve()
    start = time.monotonic()

    reports = build / "ctest.xml", build / "pytest.xml"
    outcomes = [
        run("C++ tests", ["ctest", "--test-dir", str(build), "--output-on-failure", "-j3",
                          "--timeout", "1200", "--output-junit", str(reports[0])], reports[0]),
        run("Python tests", [sys.executable, "-m", "pytest", "-q", "--durations=5",
                             "-n", str(SIDE_BY_SIDE), "--dist", "loadfile",
                             f"--junitxml={reports[1]}",
                             *(name for name in PYTHON_TESTS if (ROOT / name).is_dir())],
            reports[1]),
    ]
    failed = [name for outcome in outcomes for name in outcome.failed]
    left_out = [name for outcome in outcomes for name in outcome.left_out]
    passed = sum(outcome.passed for outcome in outcomes)
    for name in failed:
        print(f"FAILED   {name}")
    for name in left_out:
        print(f"NOT RUN  {name}")
    print(f"{passed} passed, {len(failed)} failed, {len(left_out)} not run "
          f"in {time.monotonic() - start:.0f} s")
    return 1 if failed or left_out else 0


if __name__ == "__main__":
    sys.exit(main())
