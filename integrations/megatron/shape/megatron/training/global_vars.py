"""What Megatron-LM keeps for all: the arguments."""

from argparse import Namespace

_args: Namespace | None = None


def get_args() -> Namespace:
    assert _args is not None
    return _args


def set_args(args: Namespace) -> None:
    global _args
    _args = args
