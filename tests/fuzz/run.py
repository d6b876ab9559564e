"""Feeds every parser for a while, two at a time, each from its corpus; fails where one crashes.

    python3 tests/fuzz/run.py build/fuzz/tests/fuzz/fuzz_parsers --seconds 30

What libFuzzer finds beyond the corpus stays in build/fuzz/found/<parser>; what crashes a parser is
put beside it and named.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MAX_BYTES = 64 * 1024


def feed(program: str, parser: str, seconds: int, found: pathlib.Path) -> tuple[str, int, str]:
    own = found / parser
    own.mkdir(parents=True, exist_ok=True)
    corpus = HERE / "corpus" / parser
    if not any(corpus.iterdir()):
        raise FileNotFoundError(f"{corpus} has no example to begin from")
    done = subprocess.run(
        [program, f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=10",
         "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={own}/crash-",
         str(own), str(corpus)],
        env=os.environ | {"ACCOUNT_PARSER": parser}, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return parser, done.returncode, done.stdout


def figure(output: str, name: str) -> str:
    values = [line.split()[-1] for line in output.splitlines() if line.startswith(f"stat::{name}")]
    return values[-1] if values else "?"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("--parser", action="append", help="only this one; may be repeated")
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--found", type=pathlib.Path, default=pathlib.Path("build/fuzz/found"))
    words = arguments.parse_args()
    known = subprocess.run([words.program], env=os.environ | {"ACCOUNT_PARSER": "list"}, text=True,
                           stdout=subprocess.PIPE, check=True).stdout.split()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(feed, words.program, parser, words.seconds, words.found)
                for parser in words.parser or known]
        for job in concurrent.futures.as_completed(jobs):
            parser, status, output = job.result()
            runs = figure(output, "number_of_executed_units")
            print(f"{parser}: {runs} inputs in {words.seconds} s", flush=True)
            if status != 0:
                failed += 1
                print("\n".join(output.splitlines()[-40:]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
