"""What torch calls at the end of ``import torch``, in every process: decides, and leaves.

Apart from the package, so that a process that is not to be counted imports none of it.
"""

import os
import sys


def init() -> None:
    """The entry point ``torch.backends``: libaccount. Never breaks an import."""
    if os.environ.get("ACCOUNT", "").lower() != "on":
        return
    try:
        from libaccount._autoload import init as start
    except Exception as broken:
        if os.environ.get("ACCOUNT_AUTHORITY"):  # a job that is to obey must not train unheard
            os.write(2, f"account: no start: {broken}\n".encode())
            os._exit(1)
        print(f"account: counting is off: {broken}", file=sys.stderr)
        return
    start()
