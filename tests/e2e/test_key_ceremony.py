"""The commands of docs/key_ceremony.md, as they stand there, one after the other."""

import pathlib

import documented
import harness

PAGE = harness.ROOT / "docs/key_ceremony.md"


def test_the_ceremony_goes_as_its_page_says(tmp_path: pathlib.Path) -> None:
    (job,) = documented.blocks(PAGE, "python")
    (tmp_path / "drill.py").write_text(job)
    said = documented.run_commands(PAGE, tmp_path)
    assert "goes on after step" in said
    assert "no stop key of authority" in said, "the stolen key"
