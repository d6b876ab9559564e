"""For the tests of all integrations, which run example.py of each as it stands."""

import gzip
import importlib.util
import pathlib

import pytest
from fixtures import account, clean_environment

__all__ = ["account", "clean_environment"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Handwritten digits, as scikit-learn's package carries them."""
    (package,) = importlib.util.find_spec("sklearn").submodule_search_locations
    path = tmp_path_factory.mktemp("digits") / "digits.csv"
    path.write_bytes(gzip.decompress(
        pathlib.Path(package, "datasets/data/digits.csv.gz").read_bytes()))
    return path
