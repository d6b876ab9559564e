"""Verifies what libaccount leaves behind: runs, compute records, archives. One file, Python's
standard library only (3.9 or later), written from the format pages alone; it shares no line with
libaccount.

    python3 verify.py PATH [PUBLIC_KEY_FILE ...]

PATH is a run's folder, a folder of weights with a record, or an archive (a folder with a
manifest.json). Where public key files are given, a run must be endorsed, and a record signed, by
one of them; a witness's key among them says whose anchors count. It prints one JSON document. Exit
status 0: all verifies; 2: something does not, and a line on stderr says what.

What it does without: transcripts are compared with their digests, not recounted from their shapes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import struct
import sys
from typing import Any

# ---- Ed25519, RFC 8032 section 5.1: verification only, nothing here is secret -------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = Any  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z


def _add(a: Point, b: Point) -> Point:
    s, d = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = d - s, z - t, z + t, d + s
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    sum_ = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            sum_ = _add(sum_, point)
        point = _add(point, point)
        scalar >>= 1
    return sum_


def _equal(a: Point, b: Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def _decode(raw: bytes) -> Point | None:
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


_base = _decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
assert _base is not None
BASE: Point = _base


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(public) != 32 or len(signature) != 64:
        return False
    key, r = _decode(public), _decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(hashed, "little") % L
    return _equal(_times(s, BASE), _add(r, _times(k, key)))


# ---- JSON, counts, base64 ----------------------------------------------------------------------

DECIMAL = re.compile(r"0|[1-9][0-9]*")
SAFE = 2**53 - 1


class Refused(Exception):
    """Something does not verify; the message says what."""


def need(condition: object, fault: str) -> None:
    if not condition:
        raise Refused(fault)


def strict(text: bytes) -> Any:
    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs), "duplicate member")
        return dict(pairs)

    def whole(digits: str) -> int:
        need(abs(int(digits)) <= SAFE, "number beyond 2^53 - 1")
        return int(digits)

    def refuse(_: str) -> Any:
        raise Refused("no whole number")

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=no_twins, parse_int=whole,
                          parse_float=refuse, parse_constant=refuse)
    except ValueError as error:
        raise Refused(f"no JSON: {error}") from error


def strict_object(text: bytes) -> dict[str, Any]:
    value = strict(text)
    need(isinstance(value, dict), "no object")
    return value


def count(text: Any) -> int:
    need(isinstance(text, str) and DECIMAL.fullmatch(text) and int(text) < 2**128, "no count")
    return int(text)


def unbase64(text: Any) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise Refused("no base64") from error
    need(base64.b64encode(raw).decode() == text, "base64 is not canonical")
    return raw


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def key_id(public: bytes) -> str:
    return sha256(b"ed25519\x00" + public)


def read_key(text: bytes) -> tuple[str, bytes]:
    """Name and key of a public key file."""
    words = strict_object(text)
    need(set(words) == {"format", "type", "name", "public", "id"}, "no public key file")
    need(words["format"] == "account-public-key/1", "no public key file")
    public = unbase64(words["public"])
    need(words["id"] == key_id(public), "the key has another id")
    return words["name"], public


def open_envelope(text: bytes, kind: str, public_of: Any) -> tuple[bytes, dict[str, Any], bytes]:
    """Payload, what it says, and the key that it names, of a DSSE envelope with one signature."""
    outer = strict_object(text)
    need(set(outer) == {"payload", "payloadType", "signatures"}, "no envelope")
    need(outer["payloadType"] == kind and len(outer["signatures"]) == 1, "another envelope")
    payload = unbase64(outer["payload"])
    said = strict_object(payload)
    public = unbase64(public_of(said))
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = outer["signatures"][0]
    need(set(signature) <= {"keyid", "sig"}, "unknown member of a signature")
    need(signature.get("keyid", key_id(public)) == key_id(public), "foreign key id")
    need(verifies(public, signed, unbase64(signature["sig"])), "bad signature")
    return payload, said, public


# ---- Merkle trees and notes --------------------------------------------------------------------


class Tree:
    """RFC 6962, section 2.1, as it grows: the heads of its full subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, entry: bytes) -> None:
        node = hashlib.sha256(b"\x00" + entry).digest()
        full = self.size
        while full & 1:
            node = hashlib.sha256(b"\x01" + self.peaks.pop() + node).digest()
            full >>= 1
        self.peaks.append(node)
        self.size += 1

    def head(self) -> bytes:
        if not self.peaks:
            return hashlib.sha256().digest()
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = hashlib.sha256(b"\x01" + peak + node).digest()
        return node


NOTE = re.compile(rb"(([!-*,-~]{1,256})\n([0-9]+)\n([A-Za-z0-9+/=]+)\n)\n"
                  rb"\xe2\x80\x94 ([!-*,-~]+) ([A-Za-z0-9+/=]+)\n")


def open_note(note: bytes, key: bytes, origin: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint by this key."""
    shape = NOTE.fullmatch(note)
    need(shape, "no checkpoint")
    assert shape is not None
    text, name, size, root, signer, blob = shape.groups()
    need(name.decode() == origin and signer == name, "the checkpoint is of another ledger")
    need(DECIMAL.fullmatch(size.decode()), "the size is no number")
    raw = unbase64(blob.decode())
    named = hashlib.sha256(name + b"\n\x01" + key).digest()[:4]
    need(len(raw) == 68 and raw[:4] == named, "another key")
    need(verifies(key, text, raw[4:]), "the checkpoint's signature is wrong")
    return int(size), unbase64(root.decode())


class Anchor:
    """A checkpoint that a witness has cosigned."""

    def __init__(self, text: bytes) -> None:
        end = text.rfind(b"\n", 0, len(text) - 1) + 1
        self.note = text[:end]
        shape = NOTE.fullmatch(self.note)
        line = re.fullmatch(rb"\xe2\x80\x94 ([!-*,-~]{1,256}) ([A-Za-z0-9+/=]+)\n", text[end:])
        need(shape and line, "no anchor")
        assert shape is not None and line is not None
        self.text, self.origin, self.size = shape[1], shape[2].decode(), int(shape[3])
        self.root = unbase64(shape[4].decode())
        self.witness = line[1]
        raw = unbase64(line[2].decode())
        need(len(raw) == 76, "no cosignature")
        self.key_hash, self.time, self.signature = raw[:4], raw[4:12], raw[12:]

    def is_by(self, key: bytes) -> bool:
        return hashlib.sha256(self.witness + b"\n\x04" + key).digest()[:4] == self.key_hash

    def check(self, key: bytes) -> None:
        time = int.from_bytes(self.time, "big")
        signed = b"cosignature/v1\ntime %d\n" % time + self.text
        need(verifies(key, signed, self.signature), "the cosignature is wrong")


# ---- ledgers: ledger_format.md ------------------------------------------------------------------


def numbers(row: list[str]) -> tuple[int, int, int, int]:
    need(isinstance(row, list) and 2 <= len(row) <= 4, "no row")
    calls, executed, *rest = map(count, row)
    model = rest[0] if rest else executed
    lower = rest[1] if len(rest) == 2 else executed
    need(max(model, lower) <= executed, "model or lower above executed")
    need(len(row) == (4 if lower != executed else 3 if model != executed else 2), "row repeats")
    return calls, executed, model, lower


def table(entry: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Category, phase and dtype to calls, executed, model, lower; ops are summed."""
    need(("rows" in entry) != ("ops" in entry), "rows or ops")
    sums: dict[str, tuple[int, ...]] = {}
    for rows in [entry["rows"]] if "rows" in entry else entry["ops"].values():
        for word, row in rows.items():
            old = sums.get(word, (0, 0, 0, 0))
            sums[word] = tuple(a + b for a, b in zip(old, numbers(row), strict=True))
    return sums


class Node:
    def __init__(self, folder: pathlib.Path, sizes: set[int]) -> None:
        self.folder = folder
        self.sizes = sizes  # of which it keeps the head
        self.run_file = (folder / "run.json").read_bytes()
        self.identity = strict_object(self.run_file)
        need(folder.name == f"node-{self.identity['node']}", "run.json is of another folder")
        self.origin = f"account/{self.identity['run']}/{self.identity['node']}"
        self.tree = Tree()
        self.past: dict[int, tuple[bytes, bytes | None]] = {}  # head and key by size
        self.counted: dict[int, int] = {}  # executed operations by size
        self.key: bytes | None = None
        self.session = 0
        self.time = 0
        self.closed = False
        self.last: dict[int, tuple[int, dict[str, tuple[int, ...]]]] = {}
        self.taken_in: dict[int, tuple[int, int]] = {}  # samples and tokens
        self.bound = 0

    def verify(self) -> None:
        note = (self.folder / "checkpoint").read_bytes()
        size = int(note.split(b"\n")[1])
        segments = sorted((self.folder / "ledger").iterdir())
        need([s.name for s in segments] == [f"{i + 1:06}.jsonl" for i in range(len(segments))],
             "a segment is missing")
        rest = b"".join(segment.read_bytes() for segment in segments)
        at = 0
        while self.tree.size < size:
            end = rest.find(b"\n", at)
            need(end >= 0, f"the ledger ends after {self.tree.size} lines")
            try:
                self.take(rest[at:end])
            except Refused as fault:
                raise Refused(f"line {self.tree.size + 1}: {fault}") from fault
            at = end + 1
        need(self.key is not None, "no session")
        assert self.key is not None
        need(open_note(note, self.key, self.origin) == (size, self.tree.head()), "another head")
        need(at == len(rest) or not self.closed, "bytes behind a closed ledger")

    def take(self, text: bytes) -> None:
        line = strict_object(text)
        kind = line["type"]
        need(count(line["time_unix_ns"]) >= self.time, "the time fell")
        self.time = count(line["time_unix_ns"])
        need(kind == "open" or (self.session > 0 and not self.closed), "no session is open")
        handler = getattr(self, f"take_{kind}", None)
        need(handler is not None, f"unknown type {kind}")
        handler(line)
        self.tree.append(text)
        if self.tree.size in self.sizes:
            self.past[self.tree.size] = (self.tree.head(), self.key)
            self.counted[self.tree.size] = sums_of([self])["executed"]

    def take_open(self, line: dict[str, Any]) -> None:
        need(line["format"] == "account-ledger/1", "another format")
        for name in ("run", "node"):
            need(line[name] == self.identity[name], f"another {name}")
        need(line["run_file_sha256"] == hashlib.sha256(self.run_file).hexdigest(), "run.json")
        need(line["session"] == self.session + 1, "session number")
        reason = "first" if self.session == 0 else "after_end" if self.closed else "after_crash"
        need(line["reason"] == reason, "reason")
        need(("previous" in line) == (self.key is not None), "previous note")
        if self.key is not None:
            covered = open_note(str(line["previous"]).encode(), self.key, self.origin)
            need(covered == (self.tree.size, self.tree.head()), "previous note: other lines")
        self.key = unbase64(line["key"])
        self.session += 1
        self.closed = False

    def take_incarnation(self, line: dict[str, Any]) -> None:
        need(line["incarnation"] == len(self.last) + 1, "incarnation number")
        self.last[len(self.last) + 1] = (0, {})

    def take_seal(self, line: dict[str, Any]) -> None:
        need(line["root"] == self.tree.head().hex(), "lines before a seal were changed")
        said: dict[int, dict[str, Any]] = {}
        for written in line["counters"]:
            entry = written
            if "same" in written:
                need(set(written) == {"incarnation", "same"}, "more than the same")
                need(written["same"] in said, "the same as nothing before it")
                entry = said[written["same"]] | {"incarnation": written["incarnation"]}
            said[entry["incarnation"]] = entry
            steps, old = self.last[entry["incarnation"]]
            new = table(entry)
            need(entry["steps_closed"] >= steps, "steps fell")
            for word, row in old.items():
                need(word in new, f"{word} vanished")
                need(all(b >= a for a, b in zip(row, new[word], strict=True)), f"{word} fell")
            self.last[entry["incarnation"]] = (entry["steps_closed"], new)
            taken = (count(entry.get("samples", "0")), count(entry.get("tokens", "0")))
            before = self.taken_in.get(entry["incarnation"], (0, 0))
            need(all(b >= a for a, b in zip(before, taken, strict=True)), "samples or tokens fell")
            self.taken_in[entry["incarnation"]] = taken

    def take_transcript(self, line: dict[str, Any]) -> None:
        need(line["file"] == f"{line['incarnation']}-{line['step']}.jsonl", "transcript's name")
        content = (self.folder / "transcripts" / str(line["file"])).read_bytes()
        need(hashlib.sha256(content).hexdigest() == line["sha256"], "transcript was changed")
        need(content.count(b"\n") == line["rows"], "transcript's rows")

    def take_gap(self, line: dict[str, Any]) -> None:
        self.bound += count(line.get("bound_operations", "0"))

    def take_ended(self, line: dict[str, Any]) -> None:
        need(line["incarnation"] in self.last, "unknown incarnation")

    def take_note(self, line: dict[str, Any]) -> None:
        pass

    # What a keeper that obeys an authority or limits read and did; it changes no count.
    take_authority = take_authority_unreadable = take_start = take_start_refused = take_note
    take_lift = take_order = take_order_refused = take_quiet = take_rehearsal = take_note
    take_limit = take_acknowledged = take_lease = take_lease_ended = take_note

    def take_closed(self, line: dict[str, Any]) -> None:
        self.closed = True


def sums_of(nodes: list[Node]) -> dict[str, int]:
    """Executed, model, lower operations, and the bounds of noted gaps."""
    rows = [row for node in nodes for _, last in node.last.values() for row in last.values()]
    sums = {name: sum(row[i] for row in rows) for i, name in enumerate(
        ("calls", "executed", "model", "lower"))}
    return {**sums, "bound": sum(node.bound for node in nodes)}


def taken_in(run: pathlib.Path) -> dict[str, int]:
    """Samples and tokens, where a trainer has said them."""
    said = [pair for node in read_nodes(run, set()) for pair in node.taken_in.values()]
    return {"samples": sum(pair[0] for pair in said), "tokens": sum(pair[1] for pair in said)}


def read_nodes(run: pathlib.Path, further: set[int]) -> list[Node]:
    """All verified; each keeps its head at these sizes, and at those of the anchors."""
    sizes = {Anchor(path.read_bytes()).size for path in run.glob("anchors/*.note")}
    sizes |= further
    nodes = [Node(folder, sizes) for folder in sorted(run.glob("node-*"))
             if (folder / "checkpoint").exists()]
    need(nodes and len({node.identity["run"] for node in nodes}) == 1, "not one run")
    for node in nodes:
        try:
            node.verify()
        except Refused as fault:
            raise Refused(f"{node.folder.name}: {fault}") from fault
    return nodes


def totals(run: pathlib.Path) -> dict[str, int]:
    return sums_of(read_nodes(run, set()))


def endorsed_by(run: pathlib.Path, nodes: list[Node]) -> list[bytes]:
    """The keys that endorsed all of these ledgers."""
    keys = []
    heads = [{"node": node.identity["node"], "origin": node.origin, "size": node.tree.size,
              "root": node.tree.head().hex()} for node in nodes]
    for path in sorted(run.glob("endorsements/*.json")):
        _, said, public = open_envelope(path.read_bytes(),
                                        "application/vnd.account.endorsement.v1+json",
                                        lambda payload: payload["public"])
        need(said["format"] == "account-endorsement/1", f"{path.name}: another format")
        need(path.stem == key_id(public)[:16], f"{path.name}: named by another key")
        if said["run"] != nodes[0].identity["run"] or said["heads"] != heads:
            continue
        need(count(said["operations"]) == sums_of(nodes)["executed"], f"{path.name}: another total")
        keys.append(public)
    return keys


def check_anchors(run: pathlib.Path, nodes: list[Node], given: list[bytes]) -> int:
    """Holds each anchor against the ledgers; how many there are."""
    folder = run / "anchors"
    named = [(b"", key) for key in given]
    for path in sorted(folder.glob("*.pub")):
        name, public = read_key(path.read_bytes())
        named.append((name.encode(), public))
    notes = sorted(folder.glob("*.note"))
    for path in notes:
        anchor = Anchor(path.read_bytes())
        keys = [k for name, k in named if name in (b"", anchor.witness) and anchor.is_by(k)]
        need(keys, f"{path.name}: its witness's key is not there")
        anchor.check(keys[0])
        node = next((n for n in nodes if n.origin == anchor.origin), None)
        need(node, f"{path.name}: of another run")
        assert node is not None
        head, key = node.past.get(anchor.size, (b"", None))
        need(head == anchor.root and key is not None,
             f"{path.name}: the ledger is not the one that was anchored")
        assert key is not None
        open_note(anchor.note, key, anchor.origin)
    return len(notes)


def check_run(run: pathlib.Path, nodes: list[Node], keys: list[bytes]) -> dict[str, Any]:
    endorsers = endorsed_by(run, nodes)
    need(not keys or any(key in keys for key in endorsers), "endorsed by none of the keys given")
    anchors = check_anchors(run, nodes, keys)
    return {"run": nodes[0].identity["run"],
            **{name: str(n) for name, n in sums_of(nodes).items()},
            "nodes": {node.identity["node"]: {"lines": node.tree.size, "closed": node.closed,
                                              "root": node.tree.head().hex()} for node in nodes},
            "endorsed_by": [key_id(key) for key in endorsers], "anchors": anchors}


# ---- records: record_format.md ------------------------------------------------------------------

TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://libaccount.org/compute-record/v1"
OTHERS = (".pt", ".pth", ".bin", ".ckpt", ".distcp", ".gguf", ".onnx", ".npz", ".npy", ".h5",
          ".pkl", ".msgpack", ".pte")
NO_WEIGHTS = ("optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "training_args.bin",
              "rng_state")


class Record:
    def __init__(self, envelope: bytes) -> None:
        payload, statement, self.public = open_envelope(
            envelope, TYPE, lambda said: said["predicate"]["public"])
        need(statement["_type"] == "https://in-toto.io/Statement/v1", "no statement")
        need(statement["predicateType"] == PREDICATE, "no compute record")
        self.id = hashlib.sha256(payload).hexdigest()
        self.subjects = {next(iter(s["digest"].items())) for s in statement["subject"]}
        self.body: dict[str, Any] = statement["predicate"]
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


def verify_weights(folder: pathlib.Path, public: bytes | None = None) -> Record:
    found = list(folder.glob("*.compute.json"))
    need(len(found) == 1, "there is not one record")
    record = Record(found[0].read_bytes())
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

# ---- archives ----------------------------------------------------------------------------------


class Proof:
    """A full proof's statement: its heads are those of the ledgers, and its sum is theirs."""

    def __init__(self, envelope: bytes) -> None:
        _, said, self.public = open_envelope(envelope, "application/vnd.account.proof.v1+json",
                                             lambda payload: payload["public"])
        need(said["format"] == "account-proof/1", "another format of proof")
        self.said = said["proof"]
        self.total = sum(count(claim["low"]) for claim in self.said["declared"])

    def sizes(self, run: str) -> set[int]:
        return {head["lines"] for head in self.said["runs"] if head["run"] == run}

    def add(self, run: str, nodes: list[Node]) -> None:
        for head in self.said["runs"]:
            node = next((n for n in nodes if n.identity["node"] == head["node"]), None)
            if head["run"] != run or node is None:
                continue
            root, _ = node.past.get(head["lines"], (b"", None))
            need(root.hex() == head["root"], f"the ledger of {run} is another one")
            self.total += node.counted[head["lines"]]

    def check(self) -> dict[str, Any]:
        """After all runs: a ledger that is not there would be missing from the sum."""
        sums = self.said["sums"]
        need(str(self.total) == sums["own"]["low"], "the sum is not that of the ledgers")
        need(self.said["operations"] == sums["derived"]["low"], "another total than its sums say")
        return {"verdict": self.said["verdict"], "operations": self.said["operations"],
                "level": self.said["level"], "signed_by": key_id(self.public)}


def verify_archive(folder: pathlib.Path, keys: list[bytes]) -> dict[str, Any]:
    """Each file is the one that the manifest names; each run and record in it verifies."""
    manifest = strict_object((folder / "manifest.json").read_bytes())
    need(manifest["format"] == "account-archive/1", "another format of archive")
    listed = manifest["files"]
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    present.discard("manifest.json")
    present = {name for name in present if "__pycache__" not in name}
    need(set(listed) <= present, f"missing: {', '.join(sorted(set(listed) - present))}")
    need(present <= set(listed), f"not in the manifest: {', '.join(sorted(present - set(listed)))}")
    for name, digest in listed.items():
        need(sha256((folder / name).read_bytes()) == digest, f"{name} was changed")
    proof = None
    if (folder / "proof.json").exists():
        proof = Proof((folder / "proof.json").read_bytes())
        need(not keys or proof.public in keys, "proof.json: signed by none of the keys given")
    found: dict[str, Any] = {"retain_until": manifest["retain_until"], "runs": [], "records": []}
    for run in sorted((folder / "runs").glob("*")):
        try:
            nodes = read_nodes(run, proof.sizes(run.name) if proof else set())
            found["runs"].append(check_run(run, nodes, keys))
            if proof:
                proof.add(run.name, nodes)
        except Refused as fault:
            raise Refused(f"runs/{run.name}: {fault}") from fault
    for path in sorted((folder / "records").glob("*.compute.json")):
        try:
            record = Record(path.read_bytes())
            need(not keys or record.public in keys, "signed by none of the keys given")
        except Refused as fault:
            raise Refused(f"records/{path.name}: {fault}") from fault
        found["records"].append({"id": record.id, "sums": record.sums()})
    if proof:
        found["proof"] = proof.check()
    return found


def verify(path: pathlib.Path, keys: list[bytes]) -> dict[str, Any]:
    if (path / "manifest.json").exists():
        return verify_archive(path, keys)
    if any(path.glob("node-*")):
        return check_run(path, read_nodes(path, set()), keys)
    record = verify_weights(path)
    need(not keys or record.public in keys, "signed by none of the keys given")
    return {"id": record.id, "sums": record.sums()}


def main(words: list[str]) -> int:
    if not words or words[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 1
    try:
        keys = [read_key(pathlib.Path(word).read_bytes())[1] for word in words[1:]]
        found = verify(pathlib.Path(words[0]), keys)
    except (Refused, KeyError, TypeError, ValueError, IndexError, OSError) as refused:
        print(f"refused: {words[0]}: {type(refused).__name__}: {refused}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
