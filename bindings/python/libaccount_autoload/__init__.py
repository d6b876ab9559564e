"""What torch calls at the end of ``import torch``, in every process: decides, and leaves.

Apart from the package, so that a process that is not to be counted imports none of it.
"""

import os
import sys

# libaccount/run/configuration.h: kNodeConfiguration
NODE_CONFIGURATION = "/etc/account/account.toml"


def init() -> None:
    """The entry point ``torch.backends``: libaccount. Never breaks an import."""
    if os.environ.get("ACCOUNT", "").lower() != "on":
        return
    try:
        from libaccount._autoload import init as start
    except Exception as broken:
        if must_count():
            os.write(2, f"account: no start: {broken}\n".encode())
            os._exit(1)
        print(f"account: counting is off: {broken}", file=sys.stderr)
        return
    start()


def must_count() -> bool:
    """Whether a process must not train whose libaccount does not even load: it is to obey, or to be
    counted, or a node's file may say so that nobody can read now."""
    if os.environ.get("ACCOUNT_AUTHORITY") or os.environ.get("ACCOUNT_REQUIRE"):
        return True
    try:
        os.lstat(NODE_CONFIGURATION)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True
