"""A Slurm of one node on this machine, without services and without an accounting database.

It needs Debian's packages slurm-wlm and munge (slurmctld, slurmd, munged). Keys, sockets, state and
logs lie in one folder; a link in /etc/slurm names its configuration. The node has two cores and one
GPU that is none: a job gets it as it would get a real one, and finds no device.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
# Default place of Slurm's configuration, without SLURM_CONF: Snakemake's
# plugin hides that variable from the steps of its jobs.
DEFAULT = Path("/etc/slurm/slurm.conf")
CONFIGURATION = """\
ClusterName=segxai
SlurmctldHost={host}({address})
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr={address} CPUs={cores} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=study Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def problem() -> str | None:
    """Say why a cluster cannot be started here, if it cannot."""
    if missing := [name for name in DAEMONS if _find(name) is None]:
        return f"no {', '.join(missing)} here: apt-get install slurm-wlm munge"
    if DEFAULT.exists():
        return f"{DEFAULT} exists: this machine belongs to another cluster"
    if not os.access(DEFAULT.parent, os.W_OK):
        return f"{DEFAULT.parent} cannot be written: run as root"
    return None


def _find(name: str) -> str | None:
    """Path of a daemon; Debian's folder of daemons is not in the PATH of users."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


class Slurm:
    """A running cluster of one node: its environment, and its controller to stop and start."""

    def __init__(self, folder: Path, cores: int = 2, memory: int = 64_000):
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: dict[str, subprocess.Popen] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().split(".")[0],
                address="127.0.0.1",
                ports=_free_ports(2),
                user=_user(),
                folder=folder,
                cores=cores,
                memory=memory,
            )
        )
        DEFAULT.unlink(missing_ok=True)
        DEFAULT.symlink_to(folder / "slurm.conf")

    def start(self) -> None:
        """Start all daemons and wait until the node takes jobs."""
        socket_file = self.folder / "munge.socket"
        self._start(
            "munged",
            "--foreground",
            # pytest's folders are private; munged needs a socket that all users can reach.
            "--force",
            f"--key-file={self.folder}/munge.key",
            f"--socket={socket_file}",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )
        _wait(socket_file.exists, "munged")
        self.start_controller()
        self._start("slurmd", "-D")
        _wait(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%T"), "the node")

    def start_controller(self) -> None:
        """Start slurmctld, which goes on with the jobs that it knew."""
        self._start("slurmctld", "-D")
        _wait(lambda: "UP" in self.run("scontrol", "ping"), "slurmctld")

    def stop_controller(self) -> None:
        """Stop slurmctld; jobs go on running."""
        self._stop("slurmctld")

    def stop(self) -> None:
        """Cancel all jobs and stop all daemons."""
        if "slurmctld" in self.daemons:
            self.run("scancel", "--user", _user())
            time.sleep(2)
        for name in reversed(list(self.daemons)):
            self._stop(name)
        DEFAULT.unlink()

    def run(self, *command: str) -> str:
        """Output of one of Slurm's commands, whether it succeeds or not."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    def _start(self, name: str, *options: str) -> None:
        log = (self.folder / f"{name}.out").open("a")
        self.daemons[name] = subprocess.Popen(
            [_find(name), *options], env=self.environment, stdout=log, stderr=log
        )

    def _stop(self, name: str) -> None:
        daemon = self.daemons.pop(name)
        daemon.terminate()
        daemon.wait(timeout=60)


@contextlib.contextmanager
def running_slurm(folder: Path, **options) -> Iterator[Slurm]:
    """Give a running cluster; stop its daemons at the end, whatever happens."""
    slurm = Slurm(folder, **options)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for socket_ in sockets:
        socket_.bind(("127.0.0.1", 0))
    ports = [socket_.getsockname()[1] for socket_ in sockets]
    for socket_ in sockets:
        socket_.close()
    return ports


def _wait(ready, what: str, seconds: int = 60) -> None:
    """Wait until `ready` returns True."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is not up after {seconds} seconds: see the logs beside it.")
        time.sleep(0.5)
