"""Writes tests/attacks/record/: weights whose record must not verify, one a folder, and
tests/attacks/policy/: files that are no policies. Run once; what it writes is checked in.

What an outsider could make are edits of a good record; what its maker could, signed again with a
key of its own, is signed here, from libaccount/doc/{record,envelope}_format.md alone.
"""

import base64
import copy
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

from nacl.signing import SigningKey

HERE = pathlib.Path(__file__).resolve().parent
POLICIES = HERE.parents[1] / "libaccount" / "policy" / "data"
KEY = SigningKey(b"r" * 32)
EXPECTED: dict[str, str] = {}
HEADER = b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def weights(folder: pathlib.Path, data: bytes = b"abc") -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(len(HEADER).to_bytes(8, "little") + HEADER + data)


def envelope(payload: bytes) -> str:
    kind = b"application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    public = bytes(KEY.verify_key)
    return compact({"payload": base64.b64encode(payload).decode(), "payloadType": kind.decode(),
                    "signatures": [{
                        "keyid": hashlib.sha256(b"ed25519\0" + public).hexdigest(),
                        "sig": base64.b64encode(KEY.sign(signed).signature).decode()}]}) + "\n"


class Good:
    """A child of a declared base, by the command itself with this script's key."""

    def __init__(self, scratch: pathlib.Path) -> None:
        public = bytes(KEY.verify_key)
        key_id = hashlib.sha256(b"ed25519\0" + public).hexdigest()
        (scratch / "key").write_text(compact(
            {"format": "account-secret-key/1", "type": "ed25519", "name": "mallory",
             "seed": base64.b64encode(bytes(KEY)).decode(), "id": key_id}) + "\n")
        weights(scratch / "base")
        weights(scratch / "child")

        def account(*words: str) -> None:
            subprocess.run([sys.argv[1], *words], cwd=scratch, check=True, capture_output=True)

        account("parent", "declare", "--weights", "base", "--low", "3000", "--high", "4000",
                "--basis", "its card", "--key", "key")
        account("record", "--weights", "child", "--kind", "merge", "--parent", "base",
                "--key", "key")
        self.folder = scratch / "child"
        self.text = (self.folder / "model.compute.json").read_text()
        self.statement = json.loads(base64.b64decode(json.loads(self.text)["payload"]))


def records(good: Good) -> None:
    def write(name: str, words: str, text: str) -> pathlib.Path:
        folder = HERE / "record" / name
        shutil.copytree(good.folder, folder)
        (folder / "model.compute.json").write_text(text)
        EXPECTED[f"record/{name}"] = words
        return folder

    def signed(name: str, words: str, change: Callable[[dict], None]) -> None:
        statement = copy.deepcopy(good.statement)
        change(statement)
        write(name, words, envelope(compact(statement).encode()))

    payload = base64.b64decode(json.loads(good.text)["payload"])
    write("truncated", "no valid JSON", good.text[:-40])
    edited = json.loads(good.text)
    edited["payload"] = base64.b64encode(payload.replace(b"4000", b"3500")).decode()
    write("edited", "signed by 0 of the accepted keys", compact(edited) + "\n")
    rekeyed = json.loads(good.text)
    rekeyed["signatures"][0]["keyid"] = "0" * 64
    write("rekeyed", "signed by 0 of the accepted keys", compact(rekeyed) + "\n")
    write("duplicate_member", "duplicate key '_type'", envelope(payload.replace(
        b'"predicateType"', b'"_type":"https://in-toto.io/Statement/v1","predicateType"', 1)))
    signed("operations_beyond_128_bits", "does not fit",
           lambda s: s["predicate"]["lineage"][0]["claims"][0].update(high=str(2**128)))
    signed("sum_that_does_not_follow", "its sums do not follow from its runs",
           lambda s: s["predicate"]["sums"]["base"].update(low="1"))
    signed("lineage_that_is_not_its_parents", "carries forward something else",
           lambda s: (s["predicate"]["lineage"][0]["claims"][0].update(low="5"),
                      s["predicate"]["sums"]["base"].update(low="5")))
    signed("unknown_kind", "'gift' is no kind of derivation",
           lambda s: s["predicate"].update(kind="gift"))
    moved = write("moved_to_other_weights", "it is the record of other weights", good.text)
    (moved / "model.safetensors").write_bytes(
        len(HEADER).to_bytes(8, "little") + HEADER + b"xyz")
    parent = write("parent_that_does_not_verify", "parents/", good.text)
    (path,) = (parent / "parents").iterdir()
    text = json.loads(path.read_text())
    text["signatures"][0]["sig"] = base64.b64encode(b"\1" * 64).decode()
    path.write_text(compact(text) + "\n")


def policies() -> None:
    text = json.loads((POLICIES / "eu-aia-51.json").read_text())

    def write(name: str, words: str, change: Callable[[dict], object]) -> None:
        policy = copy.deepcopy(text)
        change(policy)
        (HERE / "policy" / f"{name}.json").write_text(json.dumps(policy, indent=2) + "\n")
        EXPECTED[f"policy/{name}.json"] = words

    (HERE / "policy").mkdir()
    write("unknown_field", "member 'bonus' is unknown", lambda p: p.update(bonus=1))
    write("unknown_operator", "member 'operator' is '=='",
          lambda p: p["rules"][0].update(operator="=="))
    write("threshold_beyond_128_bits", "does not fit",
          lambda p: p["rules"][0].update(operations=str(2**128)))


def main() -> None:
    scratch = pathlib.Path(sys.argv[2])
    for folder in ("record", "policy"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    records(Good(scratch))
    policies()
    (HERE / "record" / "expected.json").write_text(json.dumps(EXPECTED, indent=1) + "\n")
    print(f"{len(EXPECTED)} attacks")


if __name__ == "__main__":
    main()  # make_record_attacks.py ACCOUNT EMPTY_FOLDER
