"""An authority for the tests: keys, root and orders, all made by the `account` command."""

import pathlib

import harness


class Authority:
    """One stop key; three lift keys, of which a lift needs two."""

    def __init__(self, account: harness.Account, folder: pathlib.Path,
                 recovery: tuple[str, ...] = ()) -> None:
        self._account = account
        self._keys = folder / "keys"
        self.path = folder / "authority"
        self._keys.mkdir(parents=True)
        for name in ("officer", "root", "ann", "ben", "cid", *recovery):
            account("key", "new", name, "--dir", self._keys)
        lift = [word for name in ("ann", "ben", "cid")
                for word in ("--lift", self.key(name, "pub"))]
        opens = [word for name in recovery
                 for word in ("--recovery", self.key(name, "pub"))]
        account("root", "new", self.path, "--name", "acme", "--stop", self.key("officer", "pub"),
                *lift, *opens, "--root", self.key("root", "pub"), "--sign", self.key("root"))

    def key(self, name: str, kind: str = "key") -> pathlib.Path:
        return self._keys / f"{name}.{kind}"

    def _orders(self) -> set[str]:
        return {path.stem for path in (self.path / "orders").glob("*.json")}

    def stop(self, target: str, *words: object) -> str:
        """Delivers a stop and returns its hash, without waiting for anybody to obey."""
        before = self._orders()
        self._account("stop", target, "--because", "drill in the tests", "--key",
                      self.key("officer"), "--authority", self.path, "--no-wait", *words,
                      expect=None)
        (order,) = self._orders() - before
        return order

    def lift(self, order: str, *holders: str) -> None:
        keys = [word for name in holders for word in ("--key", self.key(name))]
        self._account("lift", order, "--because", "the drill is over", "--authority", self.path,
                      *keys)
