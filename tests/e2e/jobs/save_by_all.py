"""All ranks count one step and tell of the same checkpoint, which is there already."""

import sys

import torch

import libaccount as account

run = account.start()
torch.ones(4, 4) @ torch.ones(4, 4)
run.step()
print("saved" if run.saved(sys.argv[1]) else "not saved", flush=True)
run.finish()
