"""The examples in the package's docstrings do what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "libaccount",
        "libaccount._errors",
        "libaccount._count",
        "libaccount._run",
        "libaccount._autoload",
    ],
)
def test_docstring_examples(module):
    found = importlib.import_module(module)
    result = doctest.testmod(found)
    assert result.attempted > 0
    assert result.failed == 0


def test_stubs_name_what_the_compiled_module_has():
    import ast
    import pathlib

    import libaccount
    from libaccount import _core

    stub = ast.parse((pathlib.Path(libaccount.__file__).parent / "_core.pyi").read_text())
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            assert callable(getattr(_core, node.name))
        elif isinstance(node, ast.ClassDef) and node.name not in {"AuditedOp", "UncountedCall"}:
            compiled = getattr(_core, node.name)
            for member in node.body:
                name = getattr(member, "name", None) or getattr(
                    getattr(member, "target", None), "id", None
                )
                assert name is None or hasattr(compiled, name), f"{node.name}.{name}"
