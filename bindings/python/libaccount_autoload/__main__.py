"""For ``account doctor --footprint``: imports torch as a job does, and looks at the process."""

import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    package = importlib.util.find_spec("libaccount")
    if package is None or package.origin is None:
        sys.exit("account: this Python has no libaccount")
    spec = importlib.util.spec_from_file_location(
        "libaccount._footprint", Path(package.origin).with_name("_footprint.py")
    )
    assert spec is not None and spec.loader is not None
    look = importlib.util.module_from_spec(spec)
    own = {"ACCOUNT_DIR": "", "ACCOUNT_RUN": "footprint", "ACCOUNT_QUIET": "1"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(own, ACCOUNT_DIR=folder)
        import torch  # noqa: F401  (starts a run under ACCOUNT=on, nothing under ACCOUNT=off)

        spec.loader.exec_module(look)
        found = look.footprint()
        found["variables"] = [name for name in found["variables"] if name not in own]
        _end_run()
    print(json.dumps(found))


def _end_run() -> None:
    """Its keeper writes into the folder until it has ended."""
    if "libaccount" not in sys.modules:
        return
    from libaccount._run import current

    run = current()
    if run is None:
        return
    run.finish()
    end = time.monotonic() + 10
    while run.job() is not None and time.monotonic() < end:
        time.sleep(0.1)


main()
