"""A job's own count of its operations, in a file that survives a SIGKILL; knows no libaccount."""

import ctypes
import mmap
import os
import pathlib


class OwnCount:
    """Two aligned 64-bit words in a shared mapping: operations begun and operations completed."""

    def __init__(self, folder: pathlib.Path) -> None:
        path = folder / f"rank-{os.environ.get('RANK', '0')}-pid-{os.getpid()}"
        unfinished = folder / f".{path.name}"
        unfinished.write_bytes(bytes(16))
        unfinished.rename(path)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self._words = (ctypes.c_uint64 * 2).from_buffer(self._map)

    def begin(self, operations: int) -> None:
        self._words[0] += operations

    def complete(self, operations: int) -> None:
        self._words[1] += operations
