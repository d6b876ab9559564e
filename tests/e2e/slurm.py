"""A Slurm of one node on this machine, for one test: its own key, ports and folders."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import harness

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo")
STEP = 0.1


def why_not() -> str:
    """Why no cluster can be started here; empty where one can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"no {', '.join(missing)} here"
    if os.getuid() != 0:
        return "its daemons need root"
    try:
        address = socket.gethostbyname(host())
    except OSError:
        return "this machine's name has no address"
    return "" if address.startswith("127.") else "this machine's name is no loopback address"


def host() -> str:
    return socket.gethostname().split(".")[0]


class Cluster:
    """Started by ``with``; all that it started is ended on leaving."""

    def __init__(self, folder: pathlib.Path, task_prolog: pathlib.Path, **settings: str) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self._task_prolog = task_prolog
        self._settings = settings

    def __enter__(self) -> "Cluster":
        for name in ("state", "spool", "run", "munge"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge").chmod(0o700)
        # Sockets have short paths only: not under pytest's folder.
        self._sockets = pathlib.Path(f"/tmp/slurm-{os.getpid()}")
        self._sockets.mkdir(mode=0o755)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        socket_path = self._sockets / "munge.socket"
        self.configuration.write_text(self._write_configuration(socket_path))
        self._run("munged", f"--key-file={key}", f"--socket={socket_path}",
                  f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
                  f"--seed-file={self.folder}/munge/seed")
        self._run("slurmctld")
        self._run("slurmd", "-N", host())
        harness.wait_until("the node to be idle",
                           lambda: self("sinfo", "-h", "-N", "-o", "%t").strip() == "idle")

    def _write_configuration(self, munge: pathlib.Path) -> str:
        control, node, srun = harness.free_port(), harness.free_port(), harness.free_port()
        settings = {
            "ClusterName": "test", "SlurmctldHost": "localhost(127.0.0.1)",
            "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",
            "SlurmctldPort": control, "SlurmdPort": node, "SrunPortRange": f"{srun}-{srun + 20}",
            "SlurmUser": "root", "SlurmdUser": "root", "AuthType": "auth/munge",
            "AuthInfo": f"socket={munge}", "CredType": "cred/munge",
            "StateSaveLocation": self.folder / "state", "SlurmdSpoolDir": self.folder / "spool",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "slurmd.pid",
            "SlurmctldLogFile": self.folder / "slurmctld.log",
            "SlurmdLogFile": self.folder / "slurmd.log", "MpiDefault": "none",
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none",
            "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_Core",
            "ReturnToService": 2, "KillWait": 5, "MailProg": "/bin/true",
            "TaskProlog": self._task_prolog, "JobCompType": "jobcomp/none",
            "AccountingStorageType": "accounting_storage/none",
            "JobAcctGatherType": "jobacct_gather/none",
        } | self._settings
        lines = [f"{name}={value}" for name, value in settings.items()]
        lines.append(f"NodeName={host()} NodeAddr=127.0.0.1 Port={node} "
                     f"CPUs={os.cpu_count()} RealMemory=1000")
        lines.append(f"PartitionName=all Nodes={host()} Default=YES MaxTime=INFINITE State=UP")
        return "\n".join(lines) + "\n"

    def environment(self) -> dict[str, str]:
        return os.environ | {"SLURM_CONF": str(self.configuration)}

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environment(), text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def __call__(self, *words: object) -> str:
        return self._run(*map(str, words))

    def submit(self, script: pathlib.Path, *words: object, name: str, log: pathlib.Path,
               **variables: str) -> str:
        """The job's id."""
        chosen = ",".join(["ALL", *(f"{key}={value}" for key, value in variables.items())])
        return self("sbatch", "--parsable", f"--job-name={name}", f"--output={log}",
                    f"--export={chosen}", script, *words).strip()

    def facts(self, job: str) -> dict[str, str]:
        words = self("scontrol", "show", "job", "-o", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, job: str, *states: str, timeout: float = 180) -> dict[str, str]:
        """What scontrol says of the job once it is in one of these states."""
        def reached() -> dict[str, str] | None:
            facts = self.facts(job)
            return facts if facts["JobState"] in states else None
        return harness.wait_until(f"job {job} to be {' or '.join(states)}", reached, timeout)

    def __exit__(self, *_: object) -> None:
        for name in ("slurmd", "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError):
                pid = int((self.folder / f"{name}.pid").read_text())
                os.kill(pid, signal.SIGTERM)
                for _ in range(100):
                    os.kill(pid, 0)
                    time.sleep(STEP)
        shutil.rmtree(self._sockets, ignore_errors=True)
