"""A second reader and writer of locked files, from libaccount/doc/locked_format.md alone.

`python locked.py FILE SEED` writes the content to stdout; SEED is the recovery key's, in hex.
"""

import base64
import hashlib
import json
import struct
import sys

from nacl import bindings as sodium

MAGIC = b"ACCLOCK1"
STREAM_HEADER, OVERHEAD, PIECE = 24, 17, 1 << 20


def key_id(public: bytes) -> str:
    return hashlib.sha256(b"ed25519\0" + public).hexdigest()


def data_key(header: dict, seed: bytes) -> bytes:
    public, secret = sodium.crypto_sign_seed_keypair(seed)
    for one in header["sealed"]:
        if one["key_id"] == key_id(public):
            return sodium.crypto_box_seal_open(
                base64.b64decode(one["sealed"], validate=True),
                sodium.crypto_sign_ed25519_pk_to_curve25519(public),
                sodium.crypto_sign_ed25519_sk_to_curve25519(secret))
    raise ValueError(f"not sealed to key {key_id(public)}")


def read(file: bytes, seed: bytes) -> tuple[dict, bytes]:
    """Header and content."""
    if not file.startswith(MAGIC):
        raise ValueError("no locked file")
    (length,) = struct.unpack_from("<I", file, len(MAGIC))
    begin = len(MAGIC) + 4 + length
    bound, start = file[:begin], file[begin:begin + STREAM_HEADER]
    rest = file[begin + STREAM_HEADER:]
    header = json.loads(bound[len(MAGIC) + 4:])
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, start, data_key(header, seed))
    content = b""
    while True:
        sealed, rest = rest[:PIECE + OVERHEAD], rest[PIECE + OVERHEAD:]
        piece, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, sealed, bound or None)
        bound = b""
        content += piece
        last = tag == sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
        if last != (not rest):
            raise ValueError("cut short, or something follows")
        if last:
            return header, content


def write(header: dict, content: bytes, publics: list[bytes]) -> bytes:
    """A file with that content for the holders of these keys; `header` lacks `sealed`."""
    key = sodium.crypto_secretstream_xchacha20poly1305_keygen()
    sealed = [{"key_id": key_id(public), "sealed": base64.b64encode(sodium.crypto_box_seal(
        key, sodium.crypto_sign_ed25519_pk_to_curve25519(public))).decode()} for public in publics]
    text = json.dumps({**header, "sealed": sealed}, separators=(",", ":")).encode()
    bound = MAGIC + struct.pack("<I", len(text)) + text
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    file = bound + sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    pieces = [content[at:at + PIECE] for at in range(0, len(content), PIECE)] or [b""]
    for number, piece in enumerate(pieces):
        tag = (sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL if number + 1 == len(pieces)
               else sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE)
        file += sodium.crypto_secretstream_xchacha20poly1305_push(
            state, piece, bound if number == 0 else None, tag)
    return file


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as locked:
        sys.stdout.buffer.write(read(locked.read(), bytes.fromhex(sys.argv[2]))[1])
