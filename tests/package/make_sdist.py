"""Makes the source distribution of a checkout and unpacks it: make_sdist.py CHECKOUT FOLDER.

Fails where it lacks what a build needs or carries what nobody needs.
"""

import os
import pathlib
import shutil
import sys
import tarfile
import tempfile

from scikit_build_core.build import build_sdist

NEEDED = ("CMakeLists.txt", "pyproject.toml", "LICENSE", "README.md", "PKG-INFO",
          "libaccount/include/account/run.h", "bindings/python/libaccount/__init__.py",
          "integrations/torch/__init__.py", "cmake")
UNWANTED = ("build", ".venv", ".git", ".ccache")

checkout, folder = (pathlib.Path(word) for word in sys.argv[1:])
os.chdir(checkout)
with tempfile.TemporaryDirectory() as there:
    name = build_sdist(there)
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(pathlib.Path(there, name)) as archive:
        archive.extractall(folder.with_suffix(".unpacked"), filter="data")
(root,) = folder.with_suffix(".unpacked").iterdir()
root.rename(folder)
folder.with_suffix(".unpacked").rmdir()
missing = [path for path in NEEDED if not (folder / path).exists()]
unwanted = [path for path in UNWANTED if (folder / path).exists()]
if missing or unwanted:
    sys.exit(f"the source distribution lacks {missing} and carries {unwanted}")
print(f"{name}: {sum(path.is_file() for path in folder.rglob('*'))} files")
