"""The independent signer makes, byte for byte, the vectors that the C++ tests verify.

`python test_orders.py` writes the vectors anew.
"""

import hashlib
import json
import pathlib
import subprocess
import sys

from nacl.signing import SigningKey

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import orders  # noqa: E402

VECTORS = HERE.parent / "vectors" / "orders.json"
WHEN = {"root_version": 1, "issued": "2026-11-24T10:12:08Z"}


def key(byte: int) -> SigningKey:
    return SigningKey(bytes([byte]) * 32)


ROOT_KEYS, STOP_KEYS, LIFT_KEYS = [key(1), key(2)], [key(11), key(12)], [key(21), key(22), key(23)]


def make_root() -> tuple[bytes, bytes]:
    payload = orders.root_payload("acme-cluster", {"root": (ROOT_KEYS, 2), "stop": (STOP_KEYS, 1),
                                                   "lift": (LIFT_KEYS, 2)})
    return payload, orders.sign(orders.ROOT_TYPE, payload, ROOT_KEYS)


def make_stop(scope: dict[str, object], nonce: str, reason: str = "evaluation 12 failed") -> bytes:
    return orders.stop_payload("acme-cluster", scope, number=17, nonce=nonce * 32, reason=reason,
                               ordered_by="safety officer", **WHEN)


def make_vectors() -> dict[str, object]:
    root, root_envelope = make_root()
    stop_job = make_stop({"job": "r7"}, "a")
    stop_model = make_stop({"model": "acme/chat-7b"}, "b", "Vorfall \u00a7 12, \u6b62")
    stop_all = make_stop({"all": True}, "c")
    foreign = key(99)
    lift = orders.lift_payload(
        "acme-cluster", [hashlib.sha256(stop_job).hexdigest()], number=18, nonce="d" * 32,
        accept_until="2027-11-24T00:00:00Z", reason="evaluation 12 repeated", **WHEN)
    cases = [
        ("stop a job", stop_job, [STOP_KEYS[0]], True),
        ("stop a model, reason beyond ASCII", stop_model, [STOP_KEYS[1]], True),
        ("stop all, two signatures", stop_all, STOP_KEYS, True),
        ("stop by a foreign key", stop_all, [foreign], False),
        ("stop by lift keys", stop_all, LIFT_KEYS[:2], False),
        ("stop by root keys", stop_all, ROOT_KEYS, False),
        ("lift by two of three", lift, [LIFT_KEYS[0], LIFT_KEYS[2]], True),
        ("lift by one", lift, LIFT_KEYS[:1], False),
        ("lift by stop keys", lift, STOP_KEYS, False),
    ]
    return {
        "about": "keys: seed is 32 times the same byte; root 1 2, stop 11 12, lift 21 22 23",
        "root": root_envelope.decode(),
        "root_sha256": hashlib.sha256(root).hexdigest(),
        "orders": [{"name": name, "valid": valid, "sha256": hashlib.sha256(payload).hexdigest(),
                    "envelope": orders.sign(orders.ORDER_TYPE, payload, keys).decode()}
                   for name, payload, keys, valid in cases],
    }


def test_makes_the_vectors_byte_for_byte() -> None:
    assert json.loads(VECTORS.read_text()) == make_vectors()


def test_finds_the_same_signers() -> None:
    vectors = json.loads(VECTORS.read_text())
    known = {"stop": [k.verify_key for k in STOP_KEYS], "lift": [k.verify_key for k in LIFT_KEYS]}
    for vector in vectors["orders"]:
        action, needed = ("lift", 2) if vector["name"].startswith("lift") else ("stop", 1)
        found = orders.signers(vector["envelope"].encode(), orders.ORDER_TYPE, known[action])
        assert (len(found) >= needed) == vector["valid"], vector["name"]


def test_script_delivers_the_stop_of_the_vectors(tmp_path: pathlib.Path) -> None:
    authority = tmp_path / "authority"
    (authority / "orders").mkdir(parents=True)
    (authority / "root.json").write_bytes(make_root()[1])
    secret = tmp_path / "officer.key"
    secret.write_text('{"format":"account-secret-key/1","type":"ed25519","name":"officer",'
                      '"seed":"CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws="}\n')
    done = subprocess.run(
        [sys.executable, str(HERE / "sign_stop.py"), "--key", str(secret), "--authority",
         str(authority), "--job", "r7", "--because", "evaluation 12 failed", "--ordered-by",
         "safety officer", "--number", "17", "--issued", str(WHEN["issued"]), "--nonce", "a" * 32],
        capture_output=True, text=True, check=True)
    vector = json.loads(VECTORS.read_text())["orders"][0]
    assert done.stdout.strip() == vector["sha256"]
    files = list((authority / "orders").iterdir())
    assert [file.name for file in files] == [f"{vector['sha256']}.json"]
    assert files[0].read_text() == vector["envelope"]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=False) + "\n")
