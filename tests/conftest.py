"""For all tests in here."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import node_file
import slurm
from fixtures import account, clean_environment

__all__ = ["account", "clean_environment"]


def can_cut_networks() -> bool:
    """Whether two network namespaces with a link between them can be made here."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return False
    link = ["ip", "link", "add", "left", "type", "veth", "peer", "name", "right"]
    made = subprocess.run(["unshare", "--net", *link], check=False, capture_output=True)
    return made.returncode == 0


# No test is skipped: what cannot run here is not collected.
collect_ignore = ["e2e/test_slurm.py"] if slurm.why_not() else []
if not can_cut_networks():
    collect_ignore.append("e2e/test_stop_partition.py")
with tempfile.TemporaryDirectory() as folder:
    os.chmod(folder, 0o755)
    if not node_file.can_mount(pathlib.Path(folder)):
        collect_ignore.append("e2e/test_node_configuration.py")
