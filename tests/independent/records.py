"""A second reader of compute records, from libaccount/doc/record_format.md alone.

Checks signature, weights, sums and the line of parents, with Python's standard library only.

    python3 records.py WEIGHTS_FOLDER [PUBLIC_KEY_FILE]
"""

import base64
import hashlib
import json
import pathlib
import re
import struct
import sys
from typing import Any

import ed25519

TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://libaccount.org/compute-record/v1"
DECIMAL = re.compile(r"0|[1-9][0-9]*")
OTHERS = (".pt", ".pth", ".bin", ".ckpt", ".distcp", ".gguf", ".onnx", ".npz", ".npy", ".h5",
          ".pkl", ".msgpack", ".pte")
NO_WEIGHTS = ("optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "training_args.bin",
              "rng_state")


class Refused(Exception):
    """The record does not verify; the message says why."""


def need(condition: object, fault: str) -> None:
    if not condition:
        raise Refused(fault)


def strict(text: bytes) -> Any:
    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs), "duplicate member")
        return dict(pairs)

    try:
        return json.loads(text.decode("utf-8", "strict"), object_pairs_hook=no_twins)
    except ValueError as broken:
        raise Refused(str(broken)) from broken


def count(text: Any) -> int:
    need(isinstance(text, str) and DECIMAL.fullmatch(text) and int(text) < 2**128, "no count")
    return int(text)


def unbase64(text: Any) -> bytes:
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 is not canonical")
    return raw


class Record:
    def __init__(self, envelope: bytes) -> None:
        outer = strict(envelope)
        need(set(outer) == {"payload", "payloadType", "signatures"}, "no envelope")
        need(outer["payloadType"] == TYPE and len(outer["signatures"]) == 1, "no envelope of ours")
        payload = unbase64(outer["payload"])
        statement = strict(payload)
        need(statement["_type"] == "https://in-toto.io/Statement/v1", "no statement")
        need(statement["predicateType"] == PREDICATE, "no compute record")
        self.id = hashlib.sha256(payload).hexdigest()
        self.subjects = {next(iter(s["digest"].items())) for s in statement["subject"]}
        self.body: dict[str, Any] = statement["predicate"]
        self.public = unbase64(self.body["public"])
        signed = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
        signature = outer["signatures"][0]
        need(set(signature) <= {"keyid", "sig"}, "unknown member of a signature")
        key_id = hashlib.sha256(b"ed25519\x00" + self.public).hexdigest()
        need(signature.get("keyid", key_id) == key_id, "foreign key id")
        need(ed25519.verifies(self.public, signed, unbase64(signature["sig"])), "bad signature")
        self.check_sums()

    def sums(self) -> dict[str, Any]:
        own, derived, base = {}, {}, {}
        claims: dict[str, list[dict[str, Any]]] = {"own": [], "derived": [], "base": []}

        def take(side: dict[str, Any], runs: list[dict[str, Any]]) -> None:
            for run in runs:
                known = side.get(run["identity"])
                if known is None or count(known["executed"]) < count(run["executed"]):
                    side[run["identity"]] = run

        take(own, self.body["runs"])
        take(derived, self.body["runs"])
        claims["own"] += self.body["claims"]
        claims["derived"] += self.body["claims"]
        for ancestor in self.body["lineage"]:
            take(base if ancestor["base"] else derived, ancestor["runs"])
            claims["base" if ancestor["base"] else "derived"] += ancestor["claims"]
        for identity in derived:
            base.pop(identity, None)
        unknown = any(p["relation"] == "weights" and "record" not in p
                      for p in self.body["parents"])
        unknown = unknown or any("" in a["parents"] for a in self.body["lineage"])
        told: dict[str, Any] = {}
        for name, side in (("own", own), ("derived", derived), ("base", base)):
            low = sum(count(r["executed"]) for r in side.values()) + \
                sum(count(c["low"]) for c in claims[name])
            high = sum(count(r["upper"]) for r in side.values()) + \
                sum(count(c["high"]) for c in claims[name])
            told[name] = {"low": str(low), "high": str(high)}
        return {**told, "complete": not unknown}

    def check_sums(self) -> None:
        for runs in [self.body["runs"], *(a["runs"] for a in self.body["lineage"])]:
            for run in runs:
                if "counters" in run:
                    need(sum(map(count, run["counters"].values())) == count(run["executed"]),
                         "counters do not add up")
        need(self.body["sums"] == self.sums(), "the sums do not follow")


def lineage_from(parents: list[Record], named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a child of these parents carries forward."""
    line: list[dict[str, Any]] = []

    def put(ancestor: dict[str, Any]) -> None:
        for known in line:
            if known["record"] == ancestor["record"]:
                known["base"] = known["base"] and ancestor["base"]
                return
        line.append(dict(ancestor))

    for name in named:
        if name["relation"] == "teacher" or "record" not in name:
            continue
        (parent,) = (p for p in parents if p.id == name["record"])
        body = parent.body
        base = body["kind"] in ("pretraining", "declared")
        for ancestor in body["lineage"]:
            put({**ancestor, "base": ancestor["base"] or base})
        made = {"record": parent.id, "kind": body["kind"], "base": base,
                "parents": [p.get("record", "") for p in body["parents"]
                            if p["relation"] == "weights"],
                "runs": body["runs"], "claims": body["claims"]}
        put({**made, **({"model": body["model"]} if "model" in body else {})})
    return line


def tensors_of(path: pathlib.Path) -> list[tuple[str, str]]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = strict(data[8:8 + length])
    lines = []
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        digest = hashlib.sha256(data[8 + length + begin:8 + length + end]).hexdigest()
        shape = ",".join(map(str, tensor["shape"]))
        text = json.dumps(name, ensure_ascii=False)
        lines.append((name, f"{digest} {tensor['dtype']} [{shape}] {text}\n"))
    return lines


def subjects_of(folder: pathlib.Path) -> set[tuple[str, str]]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and
             not any(part.startswith(".") for part in p.relative_to(folder).parts[:-1])]
    lines = [line for p in files if p.name.endswith(".safetensors") for line in tensors_of(p)]
    found = set()
    if lines:
        text = "account-tensors/1\n" + "".join(line for _, line in sorted(lines))
        found.add(("accountTensorsV1", hashlib.sha256(text.encode()).hexdigest()))
    for p in files:
        if p.name == ".metadata" or (p.name.endswith(OTHERS) and not p.name.startswith(NO_WEIGHTS)):
            found.add(("sha256", hashlib.sha256(p.read_bytes()).hexdigest()))
    return found


def verify(folder: pathlib.Path, public: bytes | None = None) -> Record:
    (path,) = folder.glob("*.compute.json")
    record = Record(path.read_bytes())
    need(public is None or record.public == public, "signed by another key")
    need(record.subjects == subjects_of(folder), "the record of other weights")
    shelf = {r.id: r for r in (Record(p.read_bytes())
                               for p in folder.glob("parents/*.compute.json"))}
    for made in [record, *shelf.values()]:
        named = made.body["parents"]
        ids = [p["record"] for p in named if "record" in p]
        if all(i in shelf for i in ids):
            need(lineage_from([shelf[i] for i in ids], named) == made.body["lineage"],
                 "its parents' records say something else")
    return record


def main() -> int:
    try:
        key = None
        if len(sys.argv) > 2:
            key = unbase64(strict(pathlib.Path(sys.argv[2]).read_bytes())["public"])
        record = verify(pathlib.Path(sys.argv[1]), key)
    except (Refused, KeyError, TypeError, ValueError, OSError) as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 2
    print(json.dumps({"id": record.id, "sums": record.sums()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
