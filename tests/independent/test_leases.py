"""The independent signer makes, byte for byte, the leases that the C++ tests verify.

`python test_leases.py` writes the vectors anew.
"""

import hashlib
import json
import pathlib
import sys

from nacl.signing import SigningKey

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import orders  # noqa: E402

VECTORS = HERE.parent / "vectors" / "leases.json"
WHEN = {"root_version": 1, "issued": "2026-11-24T10:12:08Z", "expires": "2026-11-25T10:12:08Z"}


def key(byte: int) -> SigningKey:
    return SigningKey(bytes([byte]) * 32)


ROOT_KEYS, STOP_KEYS, LIFT_KEYS = [key(1), key(2)], [key(11), key(12)], [key(21), key(22), key(23)]
LEASE_KEYS = [key(31), key(32), key(33)]


def make_vectors() -> dict[str, object]:
    root = orders.root_payload("acme-cluster", {
        "root": (ROOT_KEYS, 2), "stop": (STOP_KEYS, 1), "lift": (LIFT_KEYS, 2),
        "lease": (LEASE_KEYS, 2)})
    job = orders.lease_payload("acme-cluster", {"job": "r7"}, number=7, **WHEN)
    everything = orders.lease_payload("acme-cluster", {"all": True}, number=8, **WHEN)
    later = orders.lease_payload("acme-cluster", {"job": "r7"}, number=9,
                                 **WHEN | {"root_version": 2})
    elsewhere = orders.lease_payload("another", {"job": "r7"}, number=7, **WHEN)
    cases = [
        ("a job, by two of three", job, LEASE_KEYS[:2], True),
        ("all jobs, by three", everything, LEASE_KEYS, True),
        ("by one", job, LEASE_KEYS[:1], False),
        ("by one, twice", job, [LEASE_KEYS[0], LEASE_KEYS[0]], False),
        ("by two and a foreign key", job, [*LEASE_KEYS[:2], key(99)], False),
        ("by stop keys", job, STOP_KEYS, False),
        ("by lift keys", job, LIFT_KEYS[:2], False),
        ("under a root that is not there", later, LEASE_KEYS[:2], False),
        ("of another authority", elsewhere, LEASE_KEYS[:2], False),
    ]
    return {
        "about": "keys: seed is 32 times the same byte; root 1 2, stop 11 12, lift 21 22 23, "
                 "lease 31 32 33",
        "root": orders.sign(orders.ROOT_TYPE, root, ROOT_KEYS).decode(),
        "root_sha256": hashlib.sha256(root).hexdigest(),
        "leases": [{"name": name, "valid": valid, "sha256": hashlib.sha256(payload).hexdigest(),
                    "envelope": orders.sign(orders.LEASE_TYPE, payload, keys).decode()}
                   for name, payload, keys, valid in cases],
    }


def test_makes_the_vectors_byte_for_byte() -> None:
    assert json.loads(VECTORS.read_text()) == make_vectors()


def test_the_page_shows_the_first_of_them() -> None:
    page = (HERE.parent.parent / "libaccount/doc/lease_format.md").read_text()
    payload = orders.lease_payload("acme-cluster", {"job": "r7"}, number=7, **WHEN)
    assert payload.decode() in page
    assert f"({len(payload)} bytes" in page
    assert hashlib.sha256(payload).hexdigest() == make_vectors()["leases"][0]["sha256"]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(make_vectors(), indent=1, ensure_ascii=False) + "\n")
