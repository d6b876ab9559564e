"""Checks that the arrows between folders go one way (the order of libaccount/CMakeLists.txt).

A file may include its own folder, folders above it, <std> and public headers. Public headers
include only <std> and "account/...". Third-party headers are held to the folders that may know
them.
"""
import pathlib
import re
import sys

ORDER = ["base", "tally", "count", "sign", "ledger", "policy", "record", "report", "order", "gate",
         "halt", "keeper", "run", "torch", "nccl", "cli"]
# torch and nccl do not know each other; the command line knows neither.
FORBIDDEN = {"nccl": {"torch"}, "cli": {"torch", "nccl"}}
ONLY_IN = {
    r"sodium": {"sign"},
    r"nlohmann/": {"base"},
    r"CLI/": {"cli"},
    r"(torch|ATen|c10|caffe2)/": {"torch"},
    r"nccl": {"nccl"},
    r"(pybind11/|Python\.h)": set(),
}
# What c.h includes is for C.
OF_C = {"stddef.h", "stdint.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def faults_of(root: pathlib.Path):
    lib = root / "libaccount"
    for path in sorted(p for p in lib.rglob("*") if p.suffix in {".h", ".cc", ".in"}):
        where = path.relative_to(lib).parts
        public = where[0] == "include"
        folder = where[0]
        for quote, target in INCLUDE.findall(path.read_text()):
            place = f"{path.relative_to(root)} includes {quote}{target}"
            if public and quote == '"' and not target.startswith("account/"):
                yield f"{place}: a public header includes only <std> and account/..."
                continue
            of_c = path.name == "c.h" and target in OF_C
            if public and quote == "<" and not of_c and ("/" in target or target.endswith(".h")):
                yield f"{place}: a public header includes only <std> and account/..."
            for pattern, allowed in ONLY_IN.items():
                if quote == "<" and re.match(pattern, target) and folder not in allowed:
                    yield f"{place}: only {sorted(allowed) or 'bindings/'} may know it"
            if quote == '"' and not target.startswith("account/") and not public:
                to = target.split("/")[0]
                if "/" not in target:
                    yield f"{place}: include by folder, as \"folder/file.h\""
                elif to not in ORDER:
                    yield f"{place}: there is no folder {to} in libaccount/"
                elif folder in ORDER and ORDER.index(to) > ORDER.index(folder):
                    yield f"{place}: {to} stands below {folder}"
                elif to in FORBIDDEN.get(folder, set()):
                    yield f"{place}: {folder} must not know {to}"


if __name__ == "__main__":
    found = list(faults_of(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "arrows: all go one way")
    sys.exit(1 if found else 0)
