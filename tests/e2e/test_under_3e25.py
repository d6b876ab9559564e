"""The commands of docs/under_3e25.md, as they stand there, one after the other."""

import pathlib

import documented
import harness
import pytest


def test_the_tutorial_goes_as_its_page_says(tmp_path: pathlib.Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCOUNT_DIR")  # the page's runs go where everybody's go
    (tmp_path / "integrations").symlink_to(harness.ROOT / "integrations")
    said = documented.run_commands(harness.ROOT / "docs/under_3e25.md", tmp_path)
    assert "below 3e25: below" in said.rpartition("cd reader")[2]
    card = (tmp_path / "reader/model/README.md").read_text()
    assert 'base_model:\n  - "acme/base"\n' in card
    assert "level: \"L1 endorsed\"" in card
