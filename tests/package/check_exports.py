"""Checks what libaccount.so shows to a process: names of namespace account, and nothing private.

fmt, nlohmann-json, libsodium and libcrypto inside it must not meet other copies in the same process
(torch carries an fmt, PyNaCl a libsodium), so none of their symbols may be dynamic.
"""

import re
import subprocess
import sys

# Demangled; std:: are weak instantiations that every C++ library shares.
PUBLIC = re.compile(
    r"^account_\w+$|"  # account/c.h
    r"^(?:(?:vtable|typeinfo|typeinfo name|guard variable|VTT) for )?"
    r"(?:non-virtual thunk to |virtual thunk to )?[^(]*?\b(?:account|std|__gnu_cxx)::")
PRIVATE = re.compile(r"\b(?:fmt|nlohmann|CLI)::|sodium|crypto_|randombytes|SHA256_|OPENSSL")


def main(library: str) -> int:
    listing = subprocess.run(
        ["nm", "--dynamic", "--defined-only", "--demangle", "--format=posix", library],
        check=True, capture_output=True, text=True).stdout
    names = [re.sub(r" [A-Za-z] [0-9a-f ]+$", "", line).strip() for line in listing.splitlines()]
    if not any(name.startswith("account::build_id") for name in names):
        print(f"{library} does not export account::build_id(): is it libaccount.so?")
        return 1
    faults = [name for name in names if PRIVATE.search(name) or not PUBLIC.match(name)]
    for name in faults:
        print(f"{library} exports {name}")
    print(f"{len(names)} exported names, {len(faults)} that should be private")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
