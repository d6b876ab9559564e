"""Runs the commands of a page of the docs as they stand, one after the other, in one folder."""

import os
import pathlib
import re
import subprocess
import sys

import harness


def blocks(page: pathlib.Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run_commands(page: pathlib.Path, folder: pathlib.Path) -> str:
    """What they print; fails where one of them does."""
    scripts = str(pathlib.Path(harness.script("account")).parent)
    path = os.pathsep.join([scripts, str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["bash", "-c", "set -eux\n" + "".join(blocks(page, "sh"))], cwd=folder,
                          env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                          check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout
