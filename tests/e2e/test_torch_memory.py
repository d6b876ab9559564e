"""A job that counts does not grow: not with its steps, nor with the shapes that it sees."""

import pathlib
import sys

import harness

JOB = """
import ctypes, sys, torch, libaccount

def work(steps):
    for i in range(steps):
        inner = 1 + i % 613
        torch.mm(torch.ones(1 + i % 311, inner), torch.ones(inner, 1 + i % 7))
        with libaccount.category("evaluate"):
            torch.mm(torch.ones(2, 2), torch.ones(2, 2))
        run.step()

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
        "fordblks", "keepcost")]

def allocated():  # by everybody in the process, what the allocator keeps for itself aside
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return info.uordblks + info.hblkhd

run = libaccount.start(dir=sys.argv[1], run="grows-not")
work(4_000)
before = allocated()
work(40_000)
grown = allocated() - before
run.finish()
print(grown)
"""
# A list with one word a step would take 320 kB, one with a row a call some megabytes.
MOST_BYTES = 64 * 1024


def test_it_does_not_grow(account, tmp_path):
    said = harness.run_job([sys.executable, "-c", JOB, str(tmp_path)], tmp_path / "log",
                           ACCOUNT_QUIET="1", MALLOC_ARENA_MAX="1", OMP_NUM_THREADS="1")
    assert int(said.splitlines()[-1]) < MOST_BYTES, said
    report = account.verify(pathlib.Path(tmp_path, "grows-not"))
    assert (report["steps"], report["gaps"]) == (44_000, [])
