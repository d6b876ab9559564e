"""Where torch adapters lie: one for each minor version of torch, side by side.

``lib/torch-2.13/libaccount_torch.so`` of the package, where it was installed or
``account doctor --build`` has built it; where the package's folder cannot be written,
``~/.local/share/libaccount/<build id>/torch-2.13/`` of the user who built it. A job looks there and
builds nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ._errors import Error

LIBRARY = "libaccount_torch.so"


def minor_of(version: str) -> str:
    """
    >>> minor_of("2.13.0+cpu")
    '2.13'
    """
    return ".".join(version.split(".")[:2])


def in_package(package: Path, minor: str) -> Path:
    """Where the package has, or would have, the adapter of a minor version."""
    return package / "lib" / f"torch-{minor}" / LIBRARY


def of_user(core: Any, minor: str) -> Path:
    """The same in the user's own folder, for one build of libaccount: another one refuses it."""
    home = Path(os.path.expanduser("~"))
    return home / ".local/share/libaccount" / str(core.build_id) / f"torch-{minor}" / LIBRARY


def known(package: Path, core: Any) -> dict[str, Path]:
    """All that are there, by minor version."""
    found: dict[str, Path] = {}
    for pattern in (of_user(core, "*"), in_package(package, "*")):
        for path in sorted(pattern.parent.parent.glob(f"{pattern.parent.name}/{LIBRARY}")):
            found[path.parent.name.removeprefix("torch-")] = path
    return found


def find(package: Path, core: Any, version: str) -> Path:
    """The adapter for this torch. Raises Error where there is none, or one that others than this
    user and root could have put there."""
    minor = minor_of(version)
    installed = in_package(package, minor)
    if os.path.isfile(installed):
        return installed
    own = of_user(core, minor)
    if os.path.isfile(own):
        core.refuse_unless_own(str(own))
        return own
    others = ", ".join(known(package, core)) or "none"
    raise Error(
        f"there is no torch adapter for torch {version} (there is: {others}); run `account doctor "
        "--build` before the job starts",
        "unavailable",
    )
