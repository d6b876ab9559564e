#!/usr/bin/env python3
"""Runs the commands of the *.golden files beside it; what `account` says must be the same bytes.

    check.py PATH_OF_ACCOUNT [--update] [FILE...]

A golden file is blocks of: "$ account words", then "| " lines of stdout, "! " lines of stderr and
"= code". The commands of a file share one empty folder. Placeholders stand for what differs from
one run to the next: {hex64}, {date}, {version}. --update rewrites the files from what is said now.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PLACEHOLDERS = {
    "{spoken}": r"[bdfghjklmnprstvzaiou]{5}(?:-[bdfghjklmnprstvzaiou]{5}){3}",
    "{hex64}": r"[0-9a-f]{64}",
    "{date}": r"20\d\d-[01]\d-[0-3]\d",
    "{version}": r"\d+\.\d+\.\d+ \([0-9a-f]{16}\)",
}
# Dates of the law stand as they are; only today differs.
TODAY = re.compile(
    r'(?<=as of )20\d\d-\d\d-\d\d|(?<="date": ")20\d\d-\d\d-\d\d'
    r"|20\d\d-\d\d-\d\d(?= is on or after)"
)


def said(account, words, folder):
    done = subprocess.run([account, *words], cwd=folder, check=False, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={"PATH": "/usr/bin:/bin"})
    lines = ["| " + line for line in done.stdout.splitlines()]
    lines += ["! " + line for line in done.stderr.splitlines()]
    return [line.rstrip() for line in lines] + [f"= {done.returncode}"]


def blocks_of(text):
    """The (command, expected lines) of a golden file; lines before the first are its title."""
    title, blocks = [], []
    for line in text.splitlines():
        if line.startswith("$ account"):
            blocks.append((line, []))
        elif blocks and line:
            blocks[-1][1].append(line.rstrip())
        elif line:
            title.append(line)
    return title, blocks


def matches(expected, line):
    pattern = re.escape(expected)
    for word, regex in PLACEHOLDERS.items():
        pattern = pattern.replace(re.escape(word), regex)
    return re.fullmatch(pattern, line) is not None


def generalised(line):
    line = re.sub(PLACEHOLDERS["{hex64}"], "{hex64}", line)
    line = re.sub(r"(?<=^\| say )" + PLACEHOLDERS["{spoken}"], "{spoken}", line)
    line = re.sub(PLACEHOLDERS["{version}"], "{version}", line)
    return TODAY.sub("{date}", line)


def check(account, path, update):
    title, blocks = blocks_of(path.read_text())
    faults, fresh = 0, "\n".join(title) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        for command, expected in blocks:
            actual = said(account, shlex.split(command)[2:], folder)
            fresh += "\n" + command + "\n" + "\n".join(generalised(line) for line in actual) + "\n"
            if len(expected) == len(actual) and all(map(matches, expected, actual)):
                continue
            faults += 1
            if not update:
                print(f"{path.name}: {command}\nexpected:\n  " + "\n  ".join(expected) +
                      "\nsaid:\n  " + "\n  ".join(actual))
    if update:
        path.write_text(fresh)
    return len(blocks), 0 if update else faults


def main(words):
    update = "--update" in words
    account, *files = [word for word in words if word != "--update"]
    here = pathlib.Path(__file__).parent
    paths = [pathlib.Path(file) for file in files] or sorted(here.glob("*.golden"))
    counts = [check(str(pathlib.Path(account).resolve()), path, update) for path in paths]
    commands, faults = sum(c for c, _ in counts), sum(f for _, f in counts)
    print(f"{commands} commands in {len(paths)} files, {faults} differ")
    return 1 if faults or not commands else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
