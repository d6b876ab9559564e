#!/bin/sh
# Collects in .gpu/ what a GPU machine without Debian packages lacks to build libaccount: headers and
# static libraries of a few packages (15 MB). Then, on that machine, tests/gpu/run.sh.
set -eu
cd "$(dirname "$0")/../.."
rm -rf .gpu
mkdir -p .gpu/debs
(cd .gpu/debs && apt-get download -q -o APT::Sandbox::User=root libsodium-dev libfmt-dev libfmt9 nlohmann-json3-dev libcli11-dev \
  libbenchmark-dev libbenchmark1debian >/dev/null)
for package in .gpu/debs/*.deb; do dpkg -x "$package" .gpu/root; done
rm -rf .gpu/debs .gpu/root/usr/share/doc
du -sh .gpu
