"""Compiles each installed public header by itself: it must include what it needs, warn of nothing,
and be of a size to read. All of the source folder are installed but those named as left out.

    check_headers.py COMPILER INSTALLED_INCLUDE_FOLDER SOURCE_INCLUDE_FOLDER [LEFT_OUT...]
"""

import pathlib
import subprocess
import sys

FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
         "-Wconversion", "-Werror", "-xc++", "-"]
# c.h is for C as well.
C_FLAGS = ["-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-xc", "-"]
MAX_LINES = 300


def main(compiler: str, include: pathlib.Path, source: pathlib.Path, left_out: list[str]) -> int:
    headers = sorted(path.name for path in (include / "account").iterdir())
    written = {path.name for path in (source / "account").glob("*.h")}
    expected = sorted(written.difference(left_out) | {"version.h"})
    faults = []
    if headers != expected:
        faults.append(f"installed are {headers}, expected {expected}")
    for header in headers:
        program = f'#include "account/{header}"\n#include "account/{header}"\nint main() {{}}\n'
        for flags in (FLAGS, C_FLAGS) if header == "c.h" else (FLAGS,):
            result = subprocess.run(
                [compiler, "-I", str(include), *flags], check=False, text=True,
                input=program.replace("main()", "main(void)") if flags is C_FLAGS else program,
                capture_output=True)
            if result.returncode != 0:
                faults.append(f"account/{header} does not compile alone:\n{result.stderr}")
        lines = len((include / "account" / header).read_text().splitlines())
        if lines > MAX_LINES:
            faults.append(f"account/{header} has {lines} lines, more than {MAX_LINES}")
    print("\n".join(faults) if faults else f"{len(headers)} headers compile alone")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4:]))
