#!/bin/sh
# Builds libaccount against this machine's torch and runs the checks and benchmarks that need a GPU.
#
#   tests/gpu/run.sh [OUT [CHECKS]]   results go to OUT (build/gpu unless said); only the checks whose
#                                     name contains CHECKS
#
# PYTHON must have torch with CUDA, pybind11, scikit-build-core, cmake and ninja; nothing is
# downloaded. What is missing of Debian's packages comes from .gpu/ (prepare.sh).
set -u
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
out=$(mkdir -p "${1:-build/gpu}" && cd "${1:-build/gpu}" && pwd)
site=$(mktemp -d)
[ -d .gpu/root ] && export CMAKE_PREFIX_PATH="$PWD/.gpu/root/usr:$PWD/.gpu/root/usr/lib/x86_64-linux-gnu/cmake" \
  CPATH="$PWD/.gpu/root/usr/include" LIBRARY_PATH="$PWD/.gpu/root/usr/lib/x86_64-linux-gnu" \
  PKG_CONFIG_PATH="$PWD/.gpu/root/usr/lib/x86_64-linux-gnu/pkgconfig"

echo "== build, $(date -u +%T)"
"$python" -m pip install -q --no-build-isolation --no-deps --no-index --target "$site" \
  --config-settings=build-dir="$site/build" --config-settings=cmake.build-type=Release \
  --config-settings=cmake.define.ACCOUNT_BUILD_TESTS=OFF \
  --config-settings=cmake.define.ACCOUNT_BUILD_BENCHMARKS=ON . >"$out/build.log" 2>&1 ||
  { tail -40 "$out/build.log"; echo "the build failed"; exit 1; }
export PYTHONPATH="$site" PATH="$site/bin:$PATH" \
  LD_LIBRARY_PATH="$PWD/.gpu/root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

status=0
echo "== checks, $(date -u +%T)"
"$python" tests/gpu/check.py --only "${2:-}" --out "$out/checks.json" 2>&1 | tee "$out/checks.txt" || status=1
grep -q '^All .* agree' "$out/checks.txt" || status=1
echo "== overhead, $(date -u +%T)"
"$python" benchmarks/gpu_overhead.py --out "$out/overhead.json" 2>&1 | tee "$out/overhead.txt"
echo "== NCCL, $(date -u +%T)"
if [ -x "$site/build/benchmarks/gpu_nccl" ]; then
  "$site/build/benchmarks/gpu_nccl" "$("$python" -c '
import glob, sysconfig
print((glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib/libnccl.so.2") + ["libnccl.so.2"])[0])')" 2>&1 | tee "$out/nccl.txt"
else
  echo "no nccl.h was found here"
fi
echo "== done, $(date -u +%T). Checks: $(tail -n 1 "$out/checks.txt")"
exit $status
