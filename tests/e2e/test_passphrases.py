"""Secret keys that open with a passphrase only: typed at a terminal or read from a file, read by a
second reader made from libaccount/doc/key_format.md alone, and used to sign."""

import base64
import hashlib
import json
import os
import pathlib
import pty
import stat

import nacl.bindings
import nacl.exceptions
import nacl.pwhash
import nacl.signing
import pytest

WORDS = "correct horse battery"


@pytest.fixture
def passphrase_file(tmp_path, monkeypatch) -> pathlib.Path:
    path = tmp_path / "passphrase"
    path.write_text(WORDS + "\n")
    monkeypatch.setenv("ACCOUNT_PASSPHRASE_FILE", str(path))
    return path


@pytest.fixture
def key(tmp_path, account, passphrase_file) -> pathlib.Path:
    """alice.key, protected."""
    account("key", "new", "alice", "--dir", tmp_path, "--passphrase")
    return tmp_path / "alice.key"


def at_a_terminal(command: list[str], *answers: str) -> tuple[int, str]:
    """Runs it with a terminal of its own and answers each question; exit status, all it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""
    waiting = list(answers)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux: the other side is closed
            break
        if not piece:
            break
        shown += piece
        if waiting and shown.endswith(b": "):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def second_reader(text: str, passphrase: str) -> bytes:
    """The seed, by key_format.md."""
    file = json.loads(text)
    raw = {name: base64.b64decode(file[name]) for name in ("public", "salt", "nonce", "box")}
    assert (file["format"], file["stretch"]) == ("account-protected-key/1", "argon2id13")
    assert file["id"] == hashlib.sha256(b"ed25519\0" + raw["public"]).hexdigest()
    stretched = nacl.pwhash.argon2id.kdf(32, passphrase.encode(), raw["salt"], file["passes"],
                                         file["memory_kib"] * 1024)
    return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
        raw["box"], b"account-protected-key/1\0" + raw["public"], raw["nonce"], stretched)


def test_a_second_reader_opens_it_with_the_passphrase_only(key):
    seed = second_reader(key.read_text(), WORDS)
    public = json.loads(key.with_suffix(".pub").read_text())["public"]
    assert bytes(nacl.signing.SigningKey(seed).verify_key) == base64.b64decode(public)
    with pytest.raises(nacl.exceptions.CryptoError):
        second_reader(key.read_text(), WORDS + "!")


def test_the_file_is_its_owners_and_holds_no_seed(key, account):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "seed" not in json.loads(key.read_text())
    shown = json.loads(account("key", "show", key, "--json").stdout)
    assert shown["kind"] == "protected secret"
    assert shown["id"] == json.loads(key.with_suffix(".pub").read_text())["id"]


def test_it_is_asked_for_at_the_terminal_and_not_shown(key, account, monkeypatch, tmp_path):
    monkeypatch.delenv("ACCOUNT_PASSPHRASE_FILE")
    monkeypatch.chdir(tmp_path)
    account("key", "new", "bob")
    roles = [word for role in ("--stop", "--lift", "--root") for word in (role, "alice.pub", role,
                                                                          "bob.pub")]
    account("root", "new", "authority", "--name", "acme", *roles)
    draft = "authority/root.pending.json"
    status, shown = at_a_terminal([account.path, "root", "sign", draft, "--key", "alice.key"],
                                  "wrong", WORDS)
    assert status == 0, shown
    assert shown.count("Passphrase of alice.key: ") == 2
    assert WORDS not in shown
    alice = json.loads((tmp_path / "alice.pub").read_text())
    assert [one["keyid"] for one in json.loads(pathlib.Path(draft).read_text())["signatures"]] == [
        alice["id"]]


def test_three_wrong_ones_are_the_end(key, account, monkeypatch):
    monkeypatch.delenv("ACCOUNT_PASSPHRASE_FILE")
    status, shown = at_a_terminal([account.path, "key", "passphrase", str(key), "--remove"],
                                  "a", "b", "c")
    assert status == 2
    assert "this is not its passphrase" in shown
    assert json.loads(key.read_text())["format"] == "account-protected-key/1"


def test_ctrl_c_gives_up_and_leaves_the_key_as_it_was(key, account, monkeypatch):
    monkeypatch.delenv("ACCOUNT_PASSPHRASE_FILE")
    before = key.read_bytes()
    status, shown = at_a_terminal([account.path, "key", "passphrase", str(key)], "\x03")
    assert status == 1
    assert "no passphrase was given" in shown
    assert key.read_bytes() == before


def test_without_a_terminal_it_says_what_to_do(key, account, monkeypatch):
    monkeypatch.delenv("ACCOUNT_PASSPHRASE_FILE")
    failed = account("key", "passphrase", key, "--remove", expect=1, start_new_session=True)
    assert "ACCOUNT_PASSPHRASE_FILE" in failed.stderr


def test_a_passphrase_is_changed_given_and_taken_away(key, account, tmp_path, passphrase_file):
    (tmp_path / "other").write_text("another one")
    account("key", "passphrase", key, "--to", tmp_path / "other")
    refused = account("key", "passphrase", key, "--remove", expect=2)
    assert str(key) in refused.stderr
    passphrase_file.write_text("another one")
    account("key", "passphrase", key, "--remove")
    plain = json.loads(key.read_text())
    assert plain["format"] == "account-secret-key/1"
    account("key", "passphrase", key)
    assert second_reader(key.read_text(), "another one") == base64.b64decode(plain["seed"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "alice.key", "alice.pub", "other", "passphrase"]


@pytest.mark.parametrize("content", ["", "\n", "x" * 1025])
def test_a_passphrase_that_is_none_makes_no_key(content, account, tmp_path, passphrase_file):
    passphrase_file.write_text(content)
    refused = account("key", "new", "bob", "--dir", tmp_path, "--passphrase", expect=1)
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "bob.key").exists()
    assert not (tmp_path / "bob.pub").exists()


def test_typing_it_twice_differently_makes_no_key(tmp_path, account):
    command = [account.path, "key", "new", "bob", "--dir", str(tmp_path), "--passphrase"]
    status, shown = at_a_terminal(command, "one", "other")
    assert status == 1
    assert "differ" in shown
    assert not list(tmp_path.glob("bob*"))
