"""Records are read by others: by a second reader written from the format page, by
securesystemslib and in-toto's own library, and in a folder that model-signing signs last."""

import base64
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from harness import script

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import verify  # noqa: E402

SEED_PUBLIC = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A declared base, and a merge of it with itself, in safetensors and as a .pt file."""
    folder = tmp_path_factory.mktemp("records")

    def account(*words: str) -> None:
        subprocess.run([script("account"), *words], cwd=folder, check=True, timeout=60,
                       stdout=subprocess.DEVNULL)

    header = b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
    for name in ("base", "merged"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(
            len(header).to_bytes(8, "little") + header + b"abc")
    (folder / "merged" / "extra.pt").write_bytes(b"weights")
    account("key", "new", "ada")
    account("parent", "declare", "--weights", "base", "--operations", "3e24", "--basis", "card",
            "--key", "ada.key")
    account("record", "--weights", "merged", "--kind", "merge", "--parent", "base", "--key",
            "ada.key")
    return folder


def public_key(folder: pathlib.Path) -> bytes:
    return base64.b64decode(json.loads((folder / "ada.pub").read_text())["public"])


def test_ed25519_agrees_with_the_published_vectors() -> None:
    vectors = json.loads((HERE.parent / "vectors/ed25519_wycheproof.json").read_text())
    checked = 0
    for group in vectors["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            good = verify.verifies(public, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
            assert good == (test["result"] == "valid"), test["tcId"]
            checked += 1
    assert checked > 100


def test_the_second_reader_agrees(made: pathlib.Path) -> None:
    record = verify.verify_weights(made / "merged", public_key(made))
    assert record.sums()["base"] == {"low": str(3 * 10**24), "high": str(3 * 10**24)}
    told = json.loads(subprocess.run(
        [script("account"), "verify", "merged", "--json"], cwd=made, check=True, timeout=60,
        capture_output=True, text=True).stdout)
    assert told["id"] == record.id


def test_the_second_reader_needs_nothing_but_python(
        made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copy(HERE / "verify.py", tmp_path)
    shutil.copytree(made / "merged", tmp_path / "merged")
    said = subprocess.run([sys.executable, "-I", "-S", "verify.py", "merged"],
                          cwd=tmp_path, check=True, timeout=60, capture_output=True, text=True)
    assert json.loads(said.stdout)["sums"]["complete"] is True


def test_the_second_reader_refuses_changes(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(made / "merged", tmp_path / "merged")
    path = tmp_path / "merged" / "model.compute.json"
    good = path.read_bytes()
    for at in range(0, len(good), 7):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        with pytest.raises((verify.Refused, KeyError, ValueError, TypeError)):
            verify.verify_weights(tmp_path / "merged")
    path.write_bytes(good)
    (tmp_path / "merged" / "extra.pt").write_bytes(b"other")
    with pytest.raises(verify.Refused, match="other weights"):
        verify.verify_weights(tmp_path / "merged")


def test_securesystemslib_verifies_the_envelope(made: pathlib.Path) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    written = json.loads((made / "merged/model.compute.json").read_text())
    key = SSlibKey(written["signatures"][0]["keyid"], "ed25519", "ed25519",
                   {"public": public_key(made).hex()})
    envelope = Envelope.from_dict(written)
    assert envelope.verify([key], 1)
    other = SSlibKey(key.keyid, "ed25519", "ed25519", {"public": SEED_PUBLIC})
    with pytest.raises(Exception, match="Accepted signatures"):
        envelope.verify([other], 1)


def test_in_toto_reads_the_statement(made: pathlib.Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    written = json.loads((made / "merged/model.compute.json").read_text())
    parsed = statement_pb2.Statement()
    json_format.Parse(base64.b64decode(written["payload"]), parsed)
    Statement.copy_from_pb(parsed).validate()
    assert parsed.predicate_type == verify.PREDICATE


def test_model_signing_signs_the_folder_last(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path / "merged"
    shutil.copytree(made / "merged", folder)
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def model_signing(verb: str, *words: object) -> int:
        return subprocess.run([sys.executable, "-m", "model_signing", verb, "key", str(folder),
                               *map(str, words)], check=False, timeout=120,
                              capture_output=True).returncode

    signature = folder / "model.sig"
    assert model_signing("sign", "--private_key", tmp_path / "key.pem", "--signature",
                         signature) == 0
    checked = ("--public_key", tmp_path / "key.pub", "--signature", signature)
    assert model_signing("verify", *checked) == 0
    verify.verify_weights(folder, public_key(made))  # and the record holds as before
    (folder / "model.compute.json").unlink()
    assert model_signing("verify", *checked) != 0
