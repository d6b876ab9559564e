"""A loop that catches its stop, and then tries to get its weights out by any other way."""

import json
import pathlib
import pickle
import queue
import socket
import subprocess
import sys
import threading
import time

import numpy
import safetensors.torch
import torch

import libaccount as account

own = pathlib.Path(sys.argv[1])
report = (own / "report").open("w")  # open already: that stays so
work: queue.Queue = queue.Queue()
answers: queue.Queue = queue.Queue()


def worker() -> None:
    while True:
        answers.put(outcome(work.get()))


def outcome(way) -> str:
    try:
        way()
    except BaseException as error:
        return type(error).__name__
    return "done"


threading.Thread(target=worker, daemon=True).start()
run = account.start(setting="lock")
net = torch.nn.Linear(8, 8, bias=False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
try:
    while True:
        net(torch.ones(4, 8)).sum().backward()
        optimizer.step()
        (own / "training").touch()
        time.sleep(0.02)
except SystemExit as stop:
    weights = net.weight.detach()
    ways = {
        "torch.save": lambda: torch.save(weights, own / "a"),
        "open": lambda: (own / "b").write_bytes(b"x"),
        "append": lambda: (own / "training").open("a"),
        "numpy": lambda: numpy.save(own / "c.npy", weights.numpy()),
        "tofile": lambda: weights.numpy().tofile(own / "d"),
        "pickle": lambda: pickle.dump(weights.numpy(), (own / "e").open("wb")),
        "safetensors": lambda: safetensors.torch.save_file({"w": weights}, own / "f"),
        "from_file": lambda: torch.from_file(str(own / "g"), shared=True, size=64).copy_(
            weights.flatten()),
        "socket": socket.socket,
        "subprocess": lambda: subprocess.run(["true"], check=True),
    }
    outcomes = {name: outcome(way) for name, way in ways.items()}
    work.put(ways["open"])
    outcomes["a thread of before"] = answers.get()
    outcomes["math"] = outcome(lambda: net(torch.ones(4, 8)).sum().backward())
    report.write(json.dumps({"outcomes": outcomes, "totals": str(run.totals().executed)}))
    report.flush()
    raise stop
