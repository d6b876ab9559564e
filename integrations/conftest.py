"""For the tests of all integrations, which run example.py of each as it stands."""

import gzip
import importlib.util
import pathlib
import shutil
import subprocess

import pytest
import trainers
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


@pytest.fixture(scope="module")
def example(request: pytest.FixtureRequest, digits: pathlib.Path) -> trainers.Example:
    """The example.py beside the tests, of those that learn from digits."""
    return trainers.Example(request.path.parent / "example.py", digits)


@pytest.fixture(scope="module")
def bare(request: pytest.FixtureRequest, example: trainers.Example,
         tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Its losses without us; as many as the tests' BATCHES, and all different."""
    losses = example.bare(tmp_path_factory.mktemp("bare"))
    assert len(losses) == len(set(losses)) == request.module.BATCHES
    return losses
