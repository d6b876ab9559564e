"""CUDA graphs: work counts when a graph is replayed, and not while it is captured.

Compiled code with mode="reduce-overhead" captures graphs too; it counts by compiled graph at each
call (_compile.py), and only what that does not know, such as opaque ops, counts by replay.
"""

from __future__ import annotations

from typing import Any

from . import _load
from ._after_import import after_import


def install() -> None:
    """Watches torch's CUDA graphs as soon as there are any. Imports nothing itself."""
    after_import("torch.cuda.graphs", lambda module: watch(module.CUDAGraph))
    after_import("torch.accelerator.graphs", lambda module: watch(module.Graph))


def watch(graph: Any) -> None:
    """Watches one class of graphs."""
    # torch 2.15 ends a capture in two halves; capture_end calls both, and a capture that could not
    # be set up ends with the first one alone.
    end = "capture_end_pre" if hasattr(graph, "capture_end_pre") else "capture_end"
    capture_begin, capture_end, replay = graph.capture_begin, getattr(graph, end), graph.replay

    def counting_begin(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = capture_begin(self, *args, **kwargs)
        _load.core().begin_capture()
        return result

    def counting_end(self: Any, *args: Any, **kwargs: Any) -> Any:
        captured = _load.core().Captured()  # also where the capture failed: it is over
        result = capture_end(self, *args, **kwargs)
        self._account = captured
        return result

    def counting_replay(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = replay(self, *args, **kwargs)
        captured = getattr(self, "_account", None)
        if captured is None:
            _load.core().note_uncounted("CUDA graph", "it was captured before counting began")
        else:
            captured.replay()
        return result

    graph.capture_begin = counting_begin
    setattr(graph, end, counting_end)
    graph.replay = counting_replay
