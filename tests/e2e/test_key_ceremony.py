"""The commands of docs/key_ceremony.md, as they stand there, one after the other."""

import os
import pathlib
import re
import subprocess
import sys

import harness

PAGE = harness.ROOT / "docs/key_ceremony.md"


def test_the_ceremony_goes_as_its_page_says(tmp_path: pathlib.Path) -> None:
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (job,) = [text for kind, text in blocks if kind == "python"]
    (tmp_path / "drill.py").write_text(job)
    commands = "set -eux\n" + "".join(text for kind, text in blocks if kind == "sh")
    scripts = str(pathlib.Path(harness.script("account")).parent)
    path = os.pathsep.join([scripts, str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["bash", "-c", commands], cwd=tmp_path, env=os.environ | {"PATH": path},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert "goes on after step" in done.stdout
    assert "no stop key of authority" in done.stdout, "the stolen key"
