"""The JSON Schema of policy files, and whether it and the reader agree."""

import json
import pathlib

import jsonschema
import pytest
from harness import ROOT, Account

SCHEMA = json.loads((ROOT / "libaccount/policy/policy.schema.json").read_text())
FILES = sorted((ROOT / "libaccount/policy/data").glob("*.json"))

BENT = {
    "an unknown member": lambda p: p.update(surprise=1),
    "an unknown member of a rule": lambda p: p["rules"][0].update(surprise=1),
    "an operator that there is not": lambda p: p["rules"][0].update(operator="<"),
    "operations as a number": lambda p: p["rules"][0].update(operations=3),
    "operations with an exponent": lambda p: p["rules"][0].update(operations="3e25"),
    "no rules": lambda p: p.update(rules=[]),
    "no grade": lambda p: p.pop("grade"),
    "another format": lambda p: p.update(format="account-policy-2"),
    "a day that is none": lambda p: p.update(effective_from="2026-1-1"),
    "limits of no cost": lambda p: p["rules"][0].pop("cost_above_usd"),
    "unassigned": lambda p: p["rules"][0]["counts"].update(categories=["unassigned"]),
    "a phase twice": lambda p: p["rules"][0]["counts"].update(phases=["forward", "forward"]),
    "a share of nothing": lambda p: p["rules"][0].update(
        relative={"numerator": 1, "denominator": 0, "operator": ">"}
    ),
}


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_all_that_lie_there_are_built_in(account: Account):
    listed = json.loads(account("policy", "list", "--json").stdout)
    assert sorted(policy["id"] for policy in listed) == sorted(path.stem for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_ships_fits_the_schema(path):
    policy = json.loads(path.read_text())
    jsonschema.validate(policy, SCHEMA, jsonschema.Draft202012Validator)
    assert policy["id"] == path.stem


@pytest.mark.parametrize("fault", BENT)
def test_schema_and_reader_refuse_the_same(fault, account: Account, tmp_path: pathlib.Path):
    policy = json.loads((ROOT / "libaccount/policy/data/us-ca-sb1047-enrolled.json").read_text())
    BENT[fault](policy)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(policy, SCHEMA, jsonschema.Draft202012Validator)
    path = tmp_path / "bent.json"
    path.write_text(json.dumps(policy))
    assert "bent.json" in account("policy", "lint", path, expect=2).stderr
