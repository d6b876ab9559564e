"""The names that Megatron-LM's training loop has, by its documentation, and no more of it."""

from .global_vars import get_args
from .training import pretrain

__all__ = ["get_args", "pretrain"]
