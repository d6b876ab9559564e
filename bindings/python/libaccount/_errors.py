"""The exceptions, and which of them a C++ status becomes."""

from __future__ import annotations


class Error(RuntimeError):
    """Something libaccount was asked for and could not do; ``code`` is stable, the text is not."""

    def __init__(self, text: str, code: str = "internal") -> None:
        super().__init__(text)
        self.code = code


class ThresholdReached(SystemExit):
    """A limit of the job's own (``policies=["ID:stop"]``) was crossed, and nobody has acknowledged
    it. A SystemExit (3), so ``except Exception`` lets it pass.

    Raised out of ``run.step()`` and ``optimizer.step()``, on all ranks at the same step, and by a
    start of that run. ``str()`` names the step and the rule. Weights may still be saved.
    """

    def __init__(self, text: str) -> None:
        super().__init__(3)
        self.text = text

    def __str__(self) -> str:
        return self.text


class LedgerCorrupt(Error):
    """Evidence on disk does not parse or contradicts itself."""


class Unverified(Error):
    """A signature is missing, foreign or wrong."""


class ShutdownOrdered(SystemExit):
    """A signed order stopped this job. A SystemExit (86), so ``except Exception`` lets it pass.

    Raised out of ``run.step()`` and ``optimizer.step()``, on all ranks at the same step, and by a
    start that an order stands against. ``str()`` names the step and the reason.
    """

    def __init__(self, text: str) -> None:
        super().__init__(86)
        self.text = text

    def __str__(self) -> str:
        return self.text


class ExportDenied(PermissionError):
    """Weights were not written, because an order stands; no file was opened or changed."""


_BY_CODE: dict[str, type[Error]] = {
    "corrupt": LedgerCorrupt,
    "unverified": Unverified,
}


def error_for(code: str, text: str) -> BaseException:
    """The exception that a failed C++ status is raised as.

    >>> error_for("corrupt", "ledger/000001.jsonl: line 3 was changed")
    LedgerCorrupt('ledger/000001.jsonl: line 3 was changed')
    """
    if code == "shutdown_ordered":
        return ShutdownOrdered(text)
    if code == "threshold_reached":
        return ThresholdReached(text)
    return _BY_CODE.get(code, Error)(text, code)
