"""Watching the watcher: a count that is silenced says so, and training goes on."""

import json
import os
import subprocess
import sys

import harness
import torch

import libaccount as account

OVERRIDDEN = """
import json, sys, time, warnings
import torch
import libaccount as account
warnings.filterwarnings("ignore")
run = account.start(dir=sys.argv[1], run="silenced")
library = torch.library.Library("aten", "IMPL")
below = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
library.impl("mm", lambda keys, a, b: torch.ops.aten.mm.default.redispatch(below, a, b),
             "BackendSelect", with_keyset=True)
result = None
for _ in range(20):
    result = torch.ones(4, 4) @ torch.ones(4, 4)
    run.step()
    time.sleep(0.1)
with account.count() as c:
    torch.ones(4, 4) @ torch.ones(4, 4)
print(json.dumps({"result": result.sum().item(), "block": c.uncounted,
                  "run": run.totals().uncounted, "executed": c.executed}))
run.finish()
"""


def test_another_library_in_our_place_is_a_gap_in_the_evidence(tmp_path):
    done = subprocess.run([sys.executable, "-c", OVERRIDDEN, str(tmp_path)], text=True,
                          capture_output=True, check=True, timeout=120, env=os.environ)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["result"] == 64  # training goes on
    assert said["executed"] == 0
    reason = "the counting kernels were registered, but torch does not call them"
    assert [(u["op"], u["reason"]) for u in said["block"]] == [("aten::mm", reason)]
    assert reason in [u["reason"] for u in said["run"]]
    report = harness.Account().verify(tmp_path / "silenced")
    (gap,) = report["gaps"]
    assert "not_watched" in gap
    assert reason in gap


OVERRIDDEN_TWO = """
import json, sys, time, warnings
import torch
import libaccount as account
warnings.filterwarnings("ignore")
run = account.start(dir=sys.argv[1], run="silenced")
library = torch.library.Library("aten", "IMPL")
below = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
def kernel(op):
    return lambda keys, *args, **options: op.redispatch(below, *args, **options)
library.impl("bmm", kernel(torch.ops.aten.bmm.default), "BackendSelect", with_keyset=True)
library.impl("mm.out", kernel(torch.ops.aten.mm.out), "BackendSelect", with_keyset=True)
for _ in range(600):
    torch.ones(2, 4, 4) @ torch.ones(2, 4, 4)
    run.step()
    time.sleep(0.1)
    if run.totals().uncounted:  # a step was audited
        break
with account.count() as plain:
    pass
with account.count(audit=True) as audited:
    pass
print(json.dumps({"plain": plain.uncounted, "audited": audited.uncounted}))
run.finish()
"""


def test_another_library_in_the_place_of_any_op_is_noticed_on_audit_steps(tmp_path):
    done = subprocess.run([sys.executable, "-c", OVERRIDDEN_TWO, str(tmp_path)], text=True,
                          capture_output=True, check=True, timeout=120, env=os.environ)
    said = json.loads(done.stdout.splitlines()[-1])
    reason = "another library takes its calls"
    assert said["plain"] == []
    assert [(u["op"], u["reason"]) for u in said["audited"]] == [
        ("aten::bmm", reason), ("aten::mm", reason)]  # mm.out
    report = harness.Account().verify(tmp_path / "silenced")
    (gap,) = report["gaps"]
    assert "not_watched" in gap
    assert "aten::bmm, aten::mm" in gap
    assert "aten::bmm" in [u["op"] for u in report["uncounted"]]


def test_a_thread_that_leaves_our_key_out_is_told():
    a, out = torch.ones(4, 4), torch.ones(4, 4)  # made here: torch makes none without that key
    with account.count():
        pass
    with torch._C._ExcludeDispatchKeyGuard(
            torch._C.DispatchKeySet(torch._C.DispatchKey.BackendSelect)), account.count() as c:
        torch.mm(a, a, out=out)
    assert c.executed == 0
    (entry,) = c.uncounted
    assert entry["reason"] == "this thread leaves out the dispatch key that calls are counted at"


def test_the_canary_counts_nothing():
    with account.count() as c:
        pass
    assert (c.executed, c.uncounted) == (0, [])
