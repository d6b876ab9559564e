"""Writes tests/attacks/ledger/: ledgers that must not verify, one a folder, each wrong in its way.

Run once; what it writes is checked in, and is the same each time. `expected.json` says with which
words `account verify` refuses each. Those that an outsider could make are edits of the golden run;
those of somebody who holds a key are signed here, from libaccount/doc/{ledger,checkpoint}_format.md
alone.
"""

import base64
import hashlib
import json
import pathlib
import shutil
import sys
from collections.abc import Callable

from nacl.signing import SigningKey

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "ledger"
GOLDEN = HERE.parent / "vectors" / "ledger" / "run-1"
NODE = "1f00ba5e"
SEGMENT = f"node-{NODE}/ledger/000001.jsonl"
EXPECTED: dict[str, str] = {}

sys.path.insert(0, str(HERE.parent / "independent"))
from verify import Tree  # noqa: E402  RFC 6962


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class Ledger:
    """A node's ledger of one incarnation, as its keeper would write it."""

    def __init__(self, run: str = "run-1", node: str = NODE) -> None:
        self.origin = f"account/{run}/{node}"
        self.run, self.node = run, node
        self.run_file = compact({"format": "account-run/1", "run": run, "node": node,
                                 "created_unix_ns": "1800000000000000000"}) + "\n"
        self.lines: list[str] = []
        self.time = 1_800_000_000_000_000_000
        self.sessions = 0

    def add(self, kind: str, **members: object) -> None:
        self.lines.append(compact({"type": kind, "time_unix_ns": str(self.time)} | members))

    def root(self) -> bytes:
        tree = Tree()
        for line in self.lines:
            tree.append(line.encode())
        return tree.head()

    def open(self, previous: str = "", reason: str = "first") -> None:
        self.sessions += 1
        self.key = SigningKey(bytes([self.sessions] * 32))
        self.add("open", format="account-ledger/1", session=self.sessions, reason=reason,
                 run=self.run, node=self.node,
                 run_file_sha256=hashlib.sha256(self.run_file.encode()).hexdigest(),
                 library="an attack", policies=[],
                 key=base64.b64encode(bytes(self.key.verify_key)).decode(),
                 **({"previous": previous} if previous else {}))

    def incarnation(self) -> None:
        self.add("incarnation", incarnation=1, id="a" * 32, rank=0, world_size=1, local_rank=0,
                 restart_count=0)

    def seal(self, executed: int | str, **members: object) -> None:
        rows = {"train/forward/float32": ["1", str(executed)]}
        self.add("seal", reason="time", root=self.root().hex(), counters=[
            {"incarnation": 1, "steps_closed": 1, "rows": rows} | members])

    def note(self, key: SigningKey | None = None) -> str:
        key = key or self.key
        root = base64.b64encode(self.root()).decode()
        text = f"{self.origin}\n{len(self.lines)}\n{root}\n"
        name = self.origin.encode() + b"\n\x01" + bytes(key.verify_key)
        blob = hashlib.sha256(name).digest()[:4] + key.sign(text.encode()).signature
        return f"{text}\n\N{EM DASH} {self.origin} {base64.b64encode(blob).decode()}\n"

    def write(self, name: str, words: str, note: str = "") -> None:
        folder = OUT / name / "run-1" / f"node-{NODE}"
        (folder / "ledger").mkdir(parents=True)
        (folder / "run.json").write_text(self.run_file)
        (folder / "ledger/000001.jsonl").write_text("".join(f"{line}\n" for line in self.lines))
        (folder / "checkpoint").write_text(note or self.note())
        EXPECTED[name] = words


def edited(name: str, words: str, edit: Callable[[pathlib.Path], None]) -> None:
    """The golden run with one edit, made by somebody without a key."""
    shutil.copytree(GOLDEN, OUT / name / "run-1")
    edit(OUT / name / "run-1")
    EXPECTED[name] = words


def in_segment(old: str, new: str) -> Callable[[pathlib.Path], None]:
    def edit(run: pathlib.Path) -> None:
        text = (run / SEGMENT).read_text()
        assert text.count(old) >= 1, old
        (run / SEGMENT).write_text(text.replace(old, new, 1))
    return edit


def lines_of(change: Callable[[list[str]], list[str]]) -> Callable[[pathlib.Path], None]:
    def edit(run: pathlib.Path) -> None:
        lines = (run / SEGMENT).read_text().splitlines(keepends=True)
        (run / SEGMENT).write_text("".join(change(lines)))
    return edit


def swap(lines: list[str]) -> list[str]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def rename_node(run: pathlib.Path) -> None:
    (run / f"node-{NODE}").rename(run / "node-2f00ba5e")


def other_run(run: pathlib.Path) -> None:
    path = run / f"node-{NODE}/run.json"
    path.write_text(path.read_text().replace('"run":"run-1"', '"run":"run-2"'))


def rekeyed(run: pathlib.Path) -> None:
    """A thief signs the very same lines with a key of his own."""
    ledger = Ledger()
    ledger.lines = (run / SEGMENT).read_text().splitlines()
    (run / f"node-{NODE}/checkpoint").write_text(ledger.note(SigningKey(bytes([99] * 32))))


def edits() -> None:
    edited("truncated_in_a_line", "the line is cut", lines_of(
        lambda lines: [*lines[:-1], lines[-1][:20]]))
    edited("truncated_between_lines", "the ledger ends after 10 lines, and its note covers 12",
           lines_of(lambda lines: lines[:-2]))
    edited("edited_number", "the lines before this seal are not the ones that were sealed",
           in_segment('"bound_operations":"7"', '"bound_operations":"1"'))
    edited("reordered_lines", "the lines before this seal are not the ones that were sealed",
           lines_of(swap))
    edited("line_twice", "transcript 1-1.jsonl stands in the ledger twice",
           lines_of(lambda lines: [*lines[:5], lines[4], *lines[5:]]))
    edited("lines_behind_the_end", "bytes follow the end of a closed ledger",
           lines_of(lambda lines: [*lines, lines[-1]]))
    edited("rekeyed_checkpoint", "the note names another key", rekeyed)
    edited("folder_of_another_node", "it is of node 1f00ba5e, not of this folder", rename_node)
    edited("run_file_of_another_run", "not of 'run-2'", other_run)
    edited("duplicate_member", "duplicate", in_segment(
        '"kind":"page_lost"', '"kind":"page_lost","kind":"page_found"'))
    edited("transcript_of_another_step", "is not the one that the ledger names", lambda run: (
        run / f"node-{NODE}/transcripts/1-1.jsonl").write_text('{"op":"aten::mm"}\n'))
    edited("checkpoint_gone", "the note is missing", lambda run: (
        run / f"node-{NODE}/checkpoint").unlink())


def signed(seal: Callable[[Ledger], None]) -> Ledger:
    ledger = Ledger()
    ledger.open()
    ledger.incarnation()
    seal(ledger)
    ledger.add("closed", how="finished")
    return ledger


def from_a_key_holder() -> None:
    signed(lambda ledger: ledger.seal(2**128)).write(
        "operations_beyond_128_bits", "does not fit into 128 bits")
    signed(lambda ledger: ledger.seal(7, steps_closed=2**53)).write(
        "integer_beyond_53_bits", "2^53")
    signed(lambda ledger: (ledger.seal(7), ledger.seal(6))).write(
        "counters_that_fall", "the counters of train/forward/float32 fell")
    signed(lambda ledger: ledger.add("bonus", operations="7")).write(
        "unknown_type_of_line", "'bonus' is no type of line that this version knows")

    ledger = Ledger()
    ledger.open()
    ledger.incarnation()
    ledger.seal(7)
    ledger.time -= 1
    ledger.add("closed", how="finished")
    ledger.write("clock_that_goes_back", "its time is before that of the line before")

    # Two keepers wrote one folder: the second opened on lines that the first then went on from.
    ledger = Ledger()
    ledger.open()
    ledger.incarnation()
    note = ledger.note()
    ledger.seal(7)
    ledger.open(note, "after_crash")
    ledger.write("two_keepers_on_one_folder",
                 "the note quoted does not cover the lines before this session")

    # The head of one run beside the lines of another, each whole in itself.
    ledger = Ledger()
    ledger.open()
    ledger.incarnation()
    other = Ledger("run-2")
    other.open()
    other.incarnation()
    ledger.write("checkpoint_of_another_run", "it is of account/run-2", other.note())


def anchored(ledger: Ledger) -> tuple[str, str]:
    """A witness's .pub and its cosigned note of the ledger as it is."""
    witness = SigningKey(b"w" * 32)
    public = bytes(witness.verify_key)
    note, now = ledger.note(), 1_800_000_001
    text = note.split("\n\n")[0] + "\n"
    blob = hashlib.sha256(b"witness.example\n\x04" + public).digest()[:4] + now.to_bytes(8, "big")
    blob += witness.sign(f"cosignature/v1\ntime {now}\n{text}".encode()).signature
    pub = {"format": "account-public-key/1", "type": "ed25519", "name": "witness.example",
           "public": base64.b64encode(public).decode(),
           "id": hashlib.sha256(b"ed25519\0" + public).hexdigest()}
    line = f"\u2014 witness.example {base64.b64encode(blob).decode()}\n"
    return compact(pub) + "\n", note + line


def against_a_witness() -> None:
    """Its own maker writes a ledger again, smaller, and signs it with the run's own key."""
    for name, words, operations in (
            ("rewritten_after_an_anchor", "was rewritten: it is not the one that it was", 5),
            ("cut_after_an_anchor", "lines and had 4 at line 4", 0)):
        pub, note = anchored(signed(lambda ledger: ledger.seal(7)))
        if operations:
            signed(lambda ledger, n=operations: ledger.seal(n)).write(name, words)
        else:
            ledger = Ledger()
            ledger.open()
            ledger.incarnation()
            ledger.write(name, words)
        folder = OUT / name / "run-1" / "anchors"
        folder.mkdir()
        (folder / "witness.pub").write_text(pub)
        (folder / f"{NODE}-4-witness.note").write_text(note)


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    edits()
    from_a_key_holder()
    against_a_witness()
    (OUT / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
    print(f"{len(EXPECTED)} attacks in {OUT}")


if __name__ == "__main__":
    main()
