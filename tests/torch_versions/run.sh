#!/bin/sh
# Builds the adapter from this source against several torch versions and runs its self-test on each.
#
#   tests/torch_versions/run.sh [VERSION...]      2.11.0 2.13.0 2.15.0 unless said
#
# Takes each version's wheel with pip (about 500 MB a version; only headers and two libraries of it
# are unpacked) into build/torch-versions/, and the two CUDA libraries that a CUDA build's
# libtorch_cpu.so is linked to. No GPU is needed. PYTHON chooses the Python whose pip is used.
set -eu
cd "$(dirname "$0")/../.."
work=$PWD/build/torch-versions
python=${PYTHON:-python3}
[ $# -gt 0 ] || set -- 2.11.0 2.13.0 2.15.0
mkdir -p "$work/wheels"

fetch() { # NAME==VERSION: its wheel's path
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
    -d "$work/wheels/$1" "$1" >&2
  ls "$work/wheels/$1"/*.whl
}

unpack_torch() { # VERSION
  [ -e "$work/$1/torch/.unpacked" ] && return
  mkdir -p "$work/$1"
  "$python" - "$(fetch "torch==$1")" "$work/$1" <<'END'
import sys, zipfile
wheel, folder = sys.argv[1:]
wanted = ("torch/include/", "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder, [n for n in archive.namelist() if n.startswith(wanted) or ".libs/" in n])
    (metadata,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
    archive.extract(metadata, folder)
END
  touch "$work/$1/torch/.unpacked"
}

# What a CUDA build wants to be loaded at all.
unpack_cuda() { # VERSION
  readelf -d "$work/$1/torch/lib/libtorch_cpu.so" | grep -q libcudart || return 0
  [ -e "$work/$1/cuda" ] && return
  toolkit=$(sed -n 's/^Requires-Dist: cuda-toolkit\[.*\]==\([0-9]*\)\.\([0-9]*\).*/\1.\2/p' \
    "$work/$1"/torch-*.dist-info/METADATA)
  for part in nvidia-cuda-runtime nvidia-cuda-cupti; do
    "$python" -m zipfile -e "$(fetch "$part==$toolkit.*")" "$work/$1/cuda"
  done
}

failed=
for version; do
  echo "== torch $version"
  unpack_torch "$version"
  unpack_cuda "$version"
  begin=$(date +%s)
  if cmake -S tests/torch_versions -B "$work/$version/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DACCOUNT_TORCH_DIR="$work/$version/torch" >"$work/$version/log" 2>&1 &&
    cmake --build "$work/$version/build" --target self_test >>"$work/$version/log" 2>&1; then
    echo "builds, in $(($(date +%s) - begin)) s"
    libraries=$(find "$work/$version" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
    LD_LIBRARY_PATH=$libraries "$work/$version/build/self_test" || failed="$failed $version"
  else
    grep -m3 -E 'error' "$work/$version/log" || tail -3 "$work/$version/log"
    failed="$failed $version"
  fi
done
[ -z "$failed" ] || { echo "FAILED:$failed"; exit 1; }
echo "All of them build, and count."
