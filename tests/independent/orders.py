"""Orders and roots from the format pages alone: standard library and PyNaCl, none of our code.

libaccount/doc/{root,order,lease,key}_format.md are all that this was written from.
sign_stop.py signs with it; test_orders.py compares it, byte by byte, with the orders.json of
tests/vectors/, which the C++ tests verify too.
"""

import base64
import hashlib
import json
import re

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

ORDER_TYPE = "application/vnd.account.order.v1+json"
LEASE_TYPE = "application/vnd.account.lease.v1+json"
ROOT_TYPE = "application/vnd.account.root.v1+json"


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def key_id(key: VerifyKey) -> str:
    return hashlib.sha256(b"ed25519\0" + bytes(key)).hexdigest()


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, keys: list[SigningKey]) -> bytes:
    """The envelope as a file: no line end behind it."""
    message = pre_authentication_encoding(payload_type, payload)
    return compact({
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": key_id(key.verify_key),
                        "sig": base64.b64encode(key.sign(message).signature).decode()}
                       for key in keys],
    })


def stop_payload(authority: str, scope: dict[str, object], *, root_version: int, number: int,
                 issued: str, nonce: str, reason: str, ordered_by: str) -> bytes:
    return compact({"format": "account-order/1", "action": "stop", "authority": authority,
                    "root_version": root_version, "number": number, "issued": issued,
                    "nonce": nonce, "scope": scope, "reason": reason, "ordered_by": ordered_by})


def lift_payload(authority: str, lifts: list[str], *, root_version: int, number: int, issued: str,
                 accept_until: str, nonce: str, reason: str) -> bytes:
    return compact({"format": "account-order/1", "action": "lift", "authority": authority,
                    "root_version": root_version, "number": number, "issued": issued,
                    "accept_until": accept_until, "nonce": nonce, "lifts": lifts,
                    "reason": reason})


def lease_payload(authority: str, scope: dict[str, object], *, root_version: int, number: int,
                  issued: str, expires: str) -> bytes:
    return compact({"format": "account-lease/1", "authority": authority,
                    "root_version": root_version, "number": number, "issued": issued,
                    "expires": expires, "scope": scope})


def root_payload(authority: str, roles: dict[str, tuple[list[SigningKey], int]]) -> bytes:
    keys = {key_id(key.verify_key): key.verify_key for holders, _ in roles.values()
            for key in holders}
    return compact({
        "format": "account-root/1", "authority": authority, "version": 1,
        "issued": "2026-11-01T00:00:00Z", "expires": "2028-11-01T00:00:00Z",
        "keys": [{"id": name, "type": "ed25519",
                  "public": base64.b64encode(bytes(key)).decode(), "holder": f"key {number}"}
                 for number, (name, key) in enumerate(keys.items())],
        "roles": {role: {"keys": [key_id(key.verify_key) for key in holders],
                         "threshold": threshold}
                  for role, (holders, threshold) in roles.items()},
        "max_quiet_seconds": 600,
    })


def load_secret_key(text: str) -> SigningKey:
    """key_format.md: one line of JSON whose member `seed` is 32 bytes in base64."""
    document = json.loads(text)
    if not re.fullmatch(r"account-secret-key/1", document["format"]):
        raise ValueError("no secret key file")
    return SigningKey(base64.b64decode(document["seed"], validate=True))


def signers(envelope: bytes, payload_type: str, keys: list[VerifyKey]) -> list[VerifyKey]:
    """The distinct keys that signed; an empty list where the envelope says another type."""
    document = json.loads(envelope)
    if document["payloadType"] != payload_type:
        return []
    message = pre_authentication_encoding(payload_type, base64.b64decode(document["payload"]))
    found = []
    for key in keys:
        for signature in document["signatures"]:
            if signature.get("keyid", key_id(key)) != key_id(key):
                continue
            try:
                key.verify(message, base64.b64decode(signature["sig"]))
            except BadSignatureError:
                continue
            found.append(key)
            break
    return found
