"""A second verifier of ledgers, from libaccount/doc/{ledger,checkpoint,key}_format.md alone.

It shares no line with the C++ one, and does without transcripts' formulas and endorsements.
"""

import base64
import hashlib
import json
import pathlib
import re

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

DECIMAL = re.compile(r"0|[1-9][0-9]*")
SAFE = 2**53 - 1


class Refused(Exception):
    """The ledger does not verify; the message says where."""


def need(condition: object, fault: str) -> None:
    if not condition:
        raise Refused(fault)


def strict(text: bytes) -> dict[str, object]:
    def no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
        need(len(dict(pairs)) == len(pairs), "duplicate member")
        return dict(pairs)

    def whole(digits: str) -> int:
        need(abs(int(digits)) <= SAFE, "number beyond 2^53 - 1")
        return int(digits)

    def refuse(_: str) -> object:
        raise Refused("no whole number")

    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=no_twins, parse_int=whole,
                           parse_float=refuse, parse_constant=refuse)
    except ValueError as error:
        raise Refused(f"no JSON: {error}") from error
    need(isinstance(value, dict), "no object")
    return value


def count(text: object) -> int:
    need(isinstance(text, str) and DECIMAL.fullmatch(text) and int(text) < 2**128, "no count")
    return int(str(text))


def unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("no base64") from error
    need(base64.b64encode(raw).decode() == text, "base64 is not canonical")
    return raw


def head(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + head(leaves[:split]) + head(leaves[split:])).digest()


def open_note(note: bytes, key: VerifyKey, origin: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint by this key."""
    shape = re.fullmatch(rb"(([!-*,-~]{1,256})\n([0-9]+)\n([A-Za-z0-9+/=]+)\n)\n"
                         rb"\xe2\x80\x94 ([!-*,-~]+) ([A-Za-z0-9+/=]+)\n", note)
    need(shape, "no checkpoint")
    text, name, size, root, signer, blob = shape.groups()
    need(name.decode() == origin and signer == name, "the checkpoint is of another ledger")
    need(DECIMAL.fullmatch(size.decode()), "the size is no number")
    raw = unbase64(blob.decode())
    named = name + b"\n\x01" + bytes(key)
    need(len(raw) == 68 and raw[:4] == hashlib.sha256(named).digest()[:4], "another key")
    try:
        key.verify(text, raw[4:])
    except BadSignatureError as error:
        raise Refused("the checkpoint's signature is wrong") from error
    return int(size), unbase64(root.decode())


def numbers(row: list[str]) -> tuple[int, int, int, int]:
    need(isinstance(row, list) and 2 <= len(row) <= 4, "no row")
    calls, executed, *rest = map(count, row)
    model = rest[0] if rest else executed
    lower = rest[1] if len(rest) == 2 else executed
    need(max(model, lower) <= executed, "model or lower above executed")
    need(len(row) == (4 if lower != executed else 3 if model != executed else 2), "row repeats")
    return calls, executed, model, lower


def table(entry: dict[str, object]) -> dict[str, tuple[int, ...]]:
    """Category, phase and dtype to calls, executed, model, lower; ops are summed."""
    need(("rows" in entry) != ("ops" in entry), "rows or ops")
    sums: dict[str, tuple[int, ...]] = {}
    for rows in [entry["rows"]] if "rows" in entry else entry["ops"].values():
        for word, row in rows.items():
            old = sums.get(word, (0, 0, 0, 0))
            sums[word] = tuple(a + b for a, b in zip(old, numbers(row), strict=True))
    return sums


class Node:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.run_file = (folder / "run.json").read_bytes()
        self.identity = strict(self.run_file)
        need(folder.name == f"node-{self.identity['node']}", "run.json is of another folder")
        self.origin = f"account/{self.identity['run']}/{self.identity['node']}"
        self.leaves: list[bytes] = []
        self.key: VerifyKey | None = None
        self.session = 0
        self.time = 0
        self.closed = False
        self.last: dict[int, tuple[int, dict[str, tuple[int, ...]]]] = {}
        self.bound = 0

    def verify(self) -> None:
        note = (self.folder / "checkpoint").read_bytes()
        size = int(note.split(b"\n")[1])
        segments = sorted((self.folder / "ledger").iterdir())
        need([s.name for s in segments] == [f"{i + 1:06}.jsonl" for i in range(len(segments))],
             "a segment is missing")
        rest = b"".join(segment.read_bytes() for segment in segments)
        while len(self.leaves) < size:
            line, found, rest = rest.partition(b"\n")
            need(found, f"the ledger ends after {len(self.leaves)} lines")
            self.take(line)
        need(self.key is not None, "no session")
        need(open_note(note, self.key, self.origin) == (size, head(self.leaves)), "another head")
        need(not rest or not self.closed, "bytes behind a closed ledger")

    def take(self, text: bytes) -> None:
        line = strict(text)
        kind = line["type"]
        need(count(line["time_unix_ns"]) >= self.time, "the time fell")
        self.time = count(line["time_unix_ns"])
        need(kind == "open" or (self.session > 0 and not self.closed), "no session is open")
        handler = getattr(self, f"take_{kind}", None)
        need(handler is not None, f"unknown type {kind}")
        handler(line)
        self.leaves.append(hashlib.sha256(b"\x00" + text).digest())

    def take_open(self, line: dict[str, object]) -> None:
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
            need(covered == (len(self.leaves), head(self.leaves)), "previous note: other lines")
        self.key = VerifyKey(unbase64(str(line["key"])))
        self.session += 1
        self.closed = False

    def take_incarnation(self, line: dict[str, object]) -> None:
        need(line["incarnation"] == len(self.last) + 1, "incarnation number")
        self.last[len(self.last) + 1] = (0, {})

    def take_seal(self, line: dict[str, object]) -> None:
        need(line["root"] == head(self.leaves).hex(), "lines before a seal were changed")
        said: dict[int, dict[str, object]] = {}
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

    def take_transcript(self, line: dict[str, object]) -> None:
        need(line["file"] == f"{line['incarnation']}-{line['step']}.jsonl", "transcript's name")
        content = (self.folder / "transcripts" / str(line["file"])).read_bytes()
        need(hashlib.sha256(content).hexdigest() == line["sha256"], "transcript was changed")
        need(content.count(b"\n") == line["rows"], "transcript's rows")

    def take_gap(self, line: dict[str, object]) -> None:
        self.bound += count(line.get("bound_operations", "0"))

    def take_ended(self, line: dict[str, object]) -> None:
        need(line["incarnation"] in self.last, "unknown incarnation")

    def take_note(self, line: dict[str, object]) -> None:
        pass

    def take_closed(self, line: dict[str, object]) -> None:
        self.closed = True


def totals(run: pathlib.Path) -> dict[str, int]:
    """Executed, model, lower operations, and the bounds of noted gaps, of a run that verifies."""
    nodes = [Node(folder) for folder in sorted(run.glob("node-*"))]
    need(nodes and len({node.identity["run"] for node in nodes}) == 1, "not one run")
    for node in nodes:
        node.verify()
    rows = [row for node in nodes for _, last in node.last.values() for row in last.values()]
    sums = {name: sum(row[i] for row in rows) for i, name in enumerate(
        ("calls", "executed", "model", "lower"))}
    return sums | {"bound": sum(node.bound for node in nodes)}
