"""Formatting and static checks: clang-format and clang-tidy for C++, ruff and mypy for Python.

    tests/house/lint.py build/release                  everything
    tests/house/lint.py build/release --changed-only   what differs from HEAD, or --since main
    tests/house/lint.py build/release --no-tidy        all but clang-tidy, which takes long

Takes the tools from PATH (requirements/lint.txt). Exits 1 on any finding, 2 if a tool is missing.
clang-tidy reads <build>/compile_commands.json and looks at the library and the bindings; a source
that this build does not compile (no torch, say) is named and not looked at.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TIDY_FOLDERS = ("libaccount/", "bindings/")
TOOLS = ("clang-format", "clang-tidy", "ruff", "mypy")


def git_lines(*words: str) -> list[str]:
    result = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def chosen_files(since: str | None) -> list[str]:
    if since is None:
        files = git_lines("ls-files", "--cached", "--others", "--exclude-standard")
    else:
        files = git_lines("diff", "--name-only", since)
        files += git_lines("ls-files", "--others", "--exclude-standard")
    return sorted({name for name in files if (ROOT / name).is_file()})


def passes(title: str, command: list[str]) -> bool:
    result = subprocess.run(command, check=False, cwd=ROOT, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    if result.returncode != 0:
        print(f"== {title}\n{result.stdout}", flush=True)
    return result.returncode == 0


def sources_to_tidy(files: list[str], build: pathlib.Path) -> list[str]:
    """The chosen sources, and for a header the source of its name."""
    compiled = {pathlib.Path(entry["file"]).resolve()
                for entry in json.loads((build / "compile_commands.json").read_text())}
    wanted = {pathlib.Path(name).with_suffix(".cc").as_posix() for name in files
              if name.startswith(TIDY_FOLDERS) and name.endswith((".cc", ".h"))}
    wanted = {name for name in wanted if (ROOT / name).is_file()}
    left_out = sorted(name for name in wanted if ROOT / name not in compiled)
    if left_out:
        print(f"not compiled by this build, so clang-tidy leaves out: {', '.join(left_out)}")
    return sorted(wanted.difference(left_out))


def lint_cpp(files: list[str], build: pathlib.Path, jobs: int, tidy_too: bool) -> list[bool]:
    cpp = [name for name in files if name.endswith((".cc", ".h"))]
    if not cpp:
        return []
    results = [passes("clang-format (clang-format -i mends it)",
                      ["clang-format", "--dry-run", "-Werror", *cpp])]
    sources = sources_to_tidy(files, build) if tidy_too else []
    print(f"clang-format: {len(cpp)} files; clang-tidy: {len(sources)} sources", flush=True)
    # Where gcc compiles, its flags may mean nothing to clang.
    tidy = ["clang-tidy", "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option",
            "--extra-arg=-Wno-ignored-optimization-argument"]
    with ThreadPoolExecutor(jobs) as pool:
        results += pool.map(lambda source: passes(f"clang-tidy {source}", [*tidy, source]), sources)
    return results


def lint_python(files: list[str]) -> list[bool]:
    python = [name for name in files if name.endswith((".py", ".pyi"))]
    if not python:
        return []
    print(f"ruff: {len(python)} files; mypy: what pyproject.toml names", flush=True)
    return [passes("ruff", ["ruff", "check", *python]), passes("mypy", ["mypy"])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path, help="a configured CMake build tree")
    parser.add_argument("--changed-only", action="store_true",
                        help="only files that differ from --since, and new ones")
    parser.add_argument("--no-tidy", action="store_true", help="leave clang-tidy out")
    parser.add_argument("--since", default="HEAD", metavar="COMMIT")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    args = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"{', '.join(missing)}: not on PATH; pip install -r requirements/lint.txt")
        return 2
    build = args.build.resolve()
    if not (build / "compile_commands.json").exists():
        print(f"{args.build} holds no compile_commands.json; configure it with CMake first")
        return 2
    files = chosen_files(args.since if args.changed_only else None)
    results = lint_cpp(files, build, args.jobs, not args.no_tidy) + lint_python(files)
    print("lint: clean" if all(results) else f"lint: {results.count(False)} with findings")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
