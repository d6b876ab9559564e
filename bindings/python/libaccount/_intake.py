"""What a step took in, samples and tokens: said by the job, or else by the framework it uses."""

from __future__ import annotations

from collections.abc import Callable

# Of frameworks that hold each other and see the same batch, the outermost is believed.
_FRAMEWORKS = ("transformers", "lightning", "accelerate", "deepspeed")


class Intake:
    """Keeps what frameworks offer until the step's end: a job that says it itself is not doubled.

    From the first word of the job on, no framework is asked any more.
    """

    def __init__(self, add: Callable[[int, int], None]) -> None:
        self._add = add
        self._job_says = False
        self._offers: dict[str, tuple[int, int]] = {}

    def say(self, samples: int, tokens: int) -> None:
        """By the job itself."""
        self._job_says = True
        self._offers.clear()
        self._add(samples, tokens)

    def offer(self, framework: str, samples: int, tokens: int) -> None:
        """By a framework, of a batch of the step that is open."""
        if self._job_says:
            return
        of_rows, of_tokens = self._offers.get(framework, (0, 0))
        self._offers[framework] = (of_rows + samples, of_tokens + tokens)

    def take(self) -> None:
        """At the step's end, and at the run's."""
        if self._offers:
            offered = self._offers[min(self._offers, key=_FRAMEWORKS.index)]
            self._offers.clear()
            self._add(*offered)

    def taken_before(self, close_step: Callable[[], None]) -> Callable[[], None]:
        """The same, once the step's offers are taken."""

        def take_and_close() -> None:
            if self._offers:
                self.take()
            close_step()

        return take_and_close
