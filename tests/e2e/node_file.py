"""The node's /etc/account/account.toml for one command, in a mount namespace of its own: the path
is fixed, and this machine's /etc is not touched."""

import os
import pathlib
import shlex
import shutil
import subprocess

PATH = "/etc/account/account.toml"


class NodeFile:
    def __init__(self, folder: pathlib.Path) -> None:
        self._etc = folder / "etc"
        self.folder = self._etc / "account"
        self.path = self.folder / "account.toml"
        self.folder.mkdir(parents=True)
        for made in (self._etc, self.folder):
            made.chmod(0o755)

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.path.chmod(0o644)

    def around(self, command: list) -> list[str]:
        """The command, where /etc has this folder on top."""
        mount = f"mount -t overlay overlay -o {shlex.quote(f'lowerdir={self._etc}:/etc')} /etc"
        return ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh",
                *map(str, command)]


def can_mount(folder: pathlib.Path) -> bool:
    """Whether that can be done here: it needs root, and a kernel with overlays."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    node = NodeFile(folder)
    node.write("")
    made = subprocess.run(node.around(["test", "-e", PATH]), check=False, capture_output=True)
    return made.returncode == 0
