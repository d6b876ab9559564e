"""Where training steps end, told from the optimizers themselves."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer


class StepHook:
    """Closes a step each time that the first optimizer that stepped has stepped again.

    Uses torch's global optimizer hooks, so that no line of the job has to change. An optimizer that
    steps inside backward closes its step when the backward ends.
    """

    def __init__(
        self, close_step: Callable[[], None], mark_optimizer: Callable[[bool], None]
    ) -> None:
        from torch.optim import optimizer as torch_optimizer

        self._close_step = close_step
        self._mark_optimizer = mark_optimizer
        self._owner: weakref.ref[Any] | None = None
        self._closes_steps = True
        self._in_step = False  # within a step_of()
        self._handles: list[Any] = [
            torch_optimizer.register_optimizer_step_pre_hook(self._before),
            torch_optimizer.register_optimizer_step_post_hook(self._after),
        ]

    def leave_steps_to_caller(self) -> None:
        """From now on only explicit calls close steps; optimizers are still told apart by phase."""
        self._closes_steps = False

    def close_by(self, close_step: Callable[[], None]) -> None:
        """From now on a step is closed by this function."""
        self._close_step = close_step

    def take_steps_from(self, owner: Any) -> None:
        """From now on the steps of this optimizer, or engine of optimizers, are the run's."""
        self._owner = weakref.ref(owner)

    @contextmanager
    def step_of(self, engine: Any) -> Iterator[bool]:
        """Closes a step at the end, of an engine whose optimizers step meanwhile as it likes.

        Gives whether the steps are this engine's; those of an engine within are not.
        """
        if self._in_step:
            yield False
            return
        owns = self._closes_steps and self._owns(engine)
        self._in_step = True
        try:
            yield owns
        finally:
            self._in_step = False
        if owns:
            self._close_step()

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._mark_optimizer(True)

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._mark_optimizer(False)
        if not self._closes_steps or not self._owns(optimizer):
            return
        task = _graph_task()
        if task < 0:
            self._close_step()
        else:
            _at_end_of_backward(task, self._close_step)

    def _owns(self, steps: Any) -> bool:
        owner = self._owner() if self._owner is not None else None
        if owner is None:  # none yet, or it is gone: an optimizer that was made anew takes over
            self._owner = weakref.ref(steps)
            return True
        return owner is steps


def _graph_task() -> int:
    """The backward pass that is running on this thread, or -1."""
    from torch._C import _current_graph_task_id

    return int(_current_graph_task_id())


def _at_end_of_backward(task: int, callback: Callable[[], None]) -> None:
    from torch.autograd import Variable

    def run() -> None:
        outer = _graph_task()
        if outer not in (-1, task):  # it ran inside another backward (a reentrant checkpoint)
            _at_end_of_backward(outer, callback)
        else:
            callback()

    Variable._execution_engine.queue_callback(run)
