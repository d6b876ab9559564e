"""For the tests of all integrations, which run example.py of each as it stands."""

import gzip
import importlib.util
import pathlib
import shutil

import pytest
from fixtures import account, clean_environment

# No test is skipped: what cannot run here is not collected.
collect_ignore = ([] if shutil.which("promtool") and shutil.which("prometheus-node-exporter")
                  else ["prometheus/test_prometheus.py"])

__all__ = ["account", "clean_environment"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Handwritten digits, as scikit-learn's package carries them."""
    (package,) = importlib.util.find_spec("sklearn").submodule_search_locations
    path = tmp_path_factory.mktemp("digits") / "digits.csv"
    path.write_bytes(gzip.decompress(
        pathlib.Path(package, "datasets/data/digits.csv.gz").read_bytes()))
    return path
