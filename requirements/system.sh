#!/bin/sh
# Installs the Debian packages named in the given lists, only those that are missing.
# Where that needs rights that are not at hand, it prints the one line to run and fails.
#
#   requirements/system.sh PYTHON LIST...
set -eu
python=$1
shift

has_package() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

missing=
while read -r package command; do
  case $package in '' | '#'*) continue ;; esac
  if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
  if command -v dpkg-query >/dev/null && has_package "$package"; then continue; fi
  missing="$missing $package"
done <<EOF
$(cat "$@")
EOF
# The interpreter may come from elsewhere than Debian; ask it, not dpkg.
if ! command -v "$python" >/dev/null; then missing="$missing python3"; fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then missing="$missing python3-venv"; fi
if ! "$python" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' \
  2>/dev/null; then missing="$missing python3-dev"; fi
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
  echo "No apt-get here. Install what these Debian packages contain:$missing" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then as_root=env
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root='sudo env'
else
  echo "Packages are missing. Run this, then make again:  sudo $install" >&2
  exit 1
fi
echo "Installing Debian packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $as_root apt-get update -qq &&
  $as_root DEBIAN_FRONTEND=noninteractive $install -qq; } >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  exit 1
fi
