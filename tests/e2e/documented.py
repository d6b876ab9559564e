"""Runs the commands of a page of the docs as they stand, one after the other, in one folder."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import harness


def blocks(page: pathlib.Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run_script(script: str, folder: pathlib.Path, **environment: str) -> str:
    """What it prints; fails where it does. Finds the commands of this Python environment."""
    scripts = str(pathlib.Path(harness.script("account")).parent)
    path = os.pathsep.join([scripts, str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["bash", "-c", "set -eux\n" + script], cwd=folder,
                          env=os.environ | {"PATH": path} | environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
                          check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_commands(page: pathlib.Path, folder: pathlib.Path) -> str:
    return run_script("".join(blocks(page, "sh")), folder)


def run_example(example: pathlib.Path, folder: pathlib.Path) -> str:
    """The commands of an example's README, but for what they install, in a copy of it."""
    shutil.copytree(example, folder, dirs_exist_ok=True)
    lines = "".join(blocks(example / "README.md", "sh")).splitlines(keepends=True)
    return run_script("".join(x for x in lines if not x.startswith("pip install")), folder)
