"""Signs a stop and puts it into an authority's directory, without libaccount.

    python sign_stop.py --key officer.key --authority /etc/account/acme --job r7 --because "..."

For a workplace where the library is not installed, and as proof that the format pages suffice.
"""

import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import secrets
import sys

import orders


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--key", type=pathlib.Path, required=True, help="secret key file")
    parser.add_argument("--authority", type=pathlib.Path, required=True, help="its directory")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--job", help="run id or the scheduler's job id")
    target.add_argument("--model")
    target.add_argument("--all", action="store_true")
    parser.add_argument("--because", required=True)
    parser.add_argument("--ordered-by", default="")
    parser.add_argument("--number", type=int, default=1)
    parser.add_argument("--issued", default="", help="YYYY-MM-DDTHH:MM:SSZ; default now")
    parser.add_argument("--nonce", default="", help="32 hex digits; default random")
    arguments = parser.parse_args()

    newest = max(arguments.authority.glob("root*.json"),
                 key=lambda path: int(path.name.split(".")[1]) if path.name.count(".") > 1 else 1)
    root = json.loads(base64.b64decode(json.loads(newest.read_text())["payload"]))
    scope: dict[str, object] = {"all": True}
    if arguments.job:
        scope = {"job": arguments.job}
    elif arguments.model:
        scope = {"model": arguments.model}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    payload = orders.stop_payload(
        root["authority"], scope, root_version=root["version"], number=arguments.number,
        issued=arguments.issued or now, nonce=arguments.nonce or secrets.token_hex(16),
        reason=arguments.because, ordered_by=arguments.ordered_by)
    key = orders.load_secret_key(arguments.key.read_text())
    envelope = orders.sign(orders.ORDER_TYPE, payload, [key])

    # All or nothing: a reader must never see half of it.
    digest = hashlib.sha256(payload).hexdigest()
    final = arguments.authority / "orders" / f"{digest}.json"
    temporary = final.with_name(f".{digest}.tmp")
    with temporary.open("wb") as file:
        file.write(envelope)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(final)
    print(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
