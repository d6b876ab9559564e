#!/bin/sh
# Makes a virtual environment with torch in it. Where PYTHON already has torch, that one is used:
# the environment then reads PYTHON's packages behind its own. A constraints file keeps torch at
# its version whatever is installed later (export PIP_CONSTRAINT=VENV/constraints.txt).
#
#   requirements/venv.sh PYTHON VENV TORCH_VERSION
set -eu
python=$1
venv=$2
torch_version=$3

if [ ! -x "$venv/bin/python" ]; then
  echo "Making $venv from $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
  "$python" -m venv "$venv"
fi
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if present=$("$python" -c 'import torch; print(torch.__version__)' 2>/dev/null); then
  echo "Using torch $present of $python"
  "$python" -c 'import sysconfig as s; print(*{s.get_path("purelib"), s.get_path("platlib")}, sep="\n")' \
    >"$site/packages-of-base-python.pth"
  # pip makes start-up scripts only for what it installs itself.
  if [ ! -x "$venv/bin/torchrun" ]; then
    printf '#!%s\nimport sys\nfrom torch.distributed.run import main\nsys.exit(main())\n' \
      "$(cd "$venv/bin" && pwd)/python" >"$venv/bin/torchrun"
    chmod +x "$venv/bin/torchrun"
  fi
  echo "torch==$present" >"$venv/constraints.txt"
else
  echo "Installing torch $torch_version"
  "$venv/bin/pip" install -q --disable-pip-version-check "torch==$torch_version"
  echo "torch==$torch_version" >"$venv/constraints.txt"
fi
