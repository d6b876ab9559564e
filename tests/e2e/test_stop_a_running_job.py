"""The commands of docs/stop_a_running_job.md, as they stand there, one after the other."""

import pathlib

import documented
import harness
import pytest

PAGE = harness.ROOT / "docs/stop_a_running_job.md"


def test_the_tutorial_goes_as_its_page_says(tmp_path: pathlib.Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCOUNT_DIR")  # the page's runs go where everybody's go
    (script,) = documented.blocks(PAGE, "python")
    (tmp_path / "train.py").write_text(script)
    said = documented.run_commands(PAGE, tmp_path)
    for line in ("rehearsed", "all are waiting", "all are quiet", "under 4.2",
                 "goes on from what the stop saved", "head "):
        assert line in said, line
