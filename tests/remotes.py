"""Places for DVC's remotes in tests: a folder, an S3 server (moto's) and an SSH server, processes on 127.0.0.1 that end with the test.

The SSH server is OpenSSH's sshd, without privileges and with keys and settings of its own, or, where none can be had, asyncssh's.
"""

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
BUCKET = "team"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "team",
    "AWS_SECRET_ACCESS_KEY": "team",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Remote:
    """`shared` settings belong into .dvc/config, `own` into each member's config.local, `environment` to every command."""

    server: str
    url: str
    shared: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def overwrite(self, path: str, data: bytes) -> None:
        """Put `data` in the place of the file `path` of the remote, as a disk that fails or a stranger would."""
        if self.folder is None:
            _put(f"{self.shared['endpointurl']}/{BUCKET}/store/{path}", data)
        else:
            os.chmod(self.folder / path, 0o644)
            (self.folder / path).write_bytes(data)


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Remote]:
    """An empty remote of the kind "folder", "s3" or "ssh"."""
    start = {"folder": _folder, "s3": _s3, "ssh": _ssh}[kind]
    with start(folder) as remote:
        yield remote


@contextmanager
def _folder(folder: Path) -> Iterator[Remote]:
    yield Remote("a folder", str(folder / "store"), folder=folder / "store")


@contextmanager
def _s3(folder: Path) -> Iterator[Remote]:
    def call(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]

    with _process(call, folder / "s3.log", _answers) as port:
        endpoint = f"http://{HOST}:{port}"
        _put(f"{endpoint}/{BUCKET}", b"")
        yield Remote("moto's S3 server", f"s3://{BUCKET}/store", {"endpointurl": endpoint}, environment=CREDENTIALS)


@contextmanager
def _ssh(folder: Path) -> Iterator[Remote]:
    keys = _Keys(folder)
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    with ExitStack() as stack:
        remote = _openssh(stack, sshd, keys, folder) if sshd else None
        if remote is None:
            port = stack.enter_context(_process(keys.asyncssh(), folder / "asyncssh.log", keys.accepted("team")))
            remote = keys.remote("asyncssh's server", port, folder / "store", "team")
        yield remote


def _openssh(stack: ExitStack, sshd: str, keys: "_Keys", folder: Path) -> Remote | None:
    """None if it starts but lets nobody in, as in some containers."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sshd-")))
    account = _account(home)
    try:
        server = _process(keys.openssh(sshd, home, account), folder / "sshd.log", keys.accepted(account.pw_name), account)
        port = stack.enter_context(server)
    except TimeoutError:
        return None
    return keys.remote(f"OpenSSH's sshd ({sshd})", port, home / "store", account.pw_name)


class _Keys:
    """A host key and a user's key, made for one test."""

    def __init__(self, folder: Path) -> None:
        self.host, self.user = folder / "host_key", folder / "user_key"
        with _asyncssh() as library:
            for path in (self.host, self.user):
                key = library.generate_private_key("ssh-ed25519")
                key.write_private_key(path)
                key.write_public_key(path.with_suffix(".pub"))
                path.chmod(0o600)

    def openssh(self, sshd: str, home: Path, account: pwd.struct_passwd) -> Callable[[int], list[str]]:
        host, allowed, settings = home / "host_key", home / "allowed", home / "settings"
        shutil.copy(self.host, host)
        shutil.copy(self.user.with_suffix(".pub"), allowed)
        (home / "store").mkdir()
        for path in (home, host, allowed, home / "store"):
            os.chown(path, account.pw_uid, account.pw_gid)

        def call(port: int) -> list[str]:
            lines = [
                f"ListenAddress {HOST}", f"Port {port}", f"HostKey {host}", f"AuthorizedKeysFile {allowed}", "PidFile none", "UsePAM yes",
                "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "ForceCommand internal-sftp",
                "Subsystem sftp internal-sftp",
            ]  # fmt: skip
            settings.write_text("\n".join(lines) + "\n")
            return [sshd, "-D", "-e", "-f", str(settings)]

        return call

    def asyncssh(self) -> Callable[[int], list[str]]:
        return lambda port: [sys.executable, __file__, str(port), str(self.host), str(self.user.with_suffix(".pub"))]

    def accepted(self, user: str) -> Callable[[int], bool]:
        """Whether the server at a port lets `user` in."""

        async def connect(port: int) -> None:
            with _asyncssh() as library:
                settings = {"username": user, "client_keys": [str(self.user)], "known_hosts": None, "config": None}
                async with library.connect(HOST, port, **settings) as connection, connection.start_sftp_client() as client:
                    await client.getcwd()

        def ready(port: int) -> bool:
            if not _answers(port):
                return False
            try:
                asyncio.run(asyncio.wait_for(connect(port), 10))
            except Exception:
                return False
            return True

        return ready

    def remote(self, server: str, port: int, store: Path, user: str) -> Remote:
        return Remote(server, f"ssh://{HOST}{store}", {"port": str(port)}, {"user": user, "keyfile": str(self.user)}, folder=store)


@contextmanager
def _asyncssh() -> Iterator:
    """Its import warns of what cryptography is going to drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import asyncssh

        yield asyncssh


def _account(home: Path) -> pwd.struct_passwd:
    """Who the SSH server runs as: nobody, if we are root, so that it has no privileges."""
    home.chmod(0o755)
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


@contextmanager
def _process(
    call: Callable[[int], list[str]], log: Path, ready: Callable[[int], bool], account: pwd.struct_passwd | None = None
) -> Iterator[int]:
    """A server on a free port of loopback, inside the block."""
    user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account and os.getuid() == 0 else {}
    for attempt in range(2):  # somebody else may have taken the port since
        port = _free_port()
        with log.open("wb") as file:
            server = subprocess.Popen(
                call(port),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
                start_new_session=True,
                **user,
            )
        try:
            if _waited(server, ready, port, seconds=40 if attempt else 20):
                yield port
                return
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # a child that has not taken over its connection yet still holds the port
            server.wait()
    raise TimeoutError(f"{call(0)[0]} did not start: {log.read_text()[-2000:]}")


def _waited(server: subprocess.Popen, ready: Callable[[int], bool], port: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        if ready(port):
            return True
        time.sleep(0.1)
    return False


def _end_with_parent() -> None:
    """The kernel kills the server should the test be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _put(url: str, data: bytes) -> None:
    """The server looks at who signs, not at the signature."""
    signature = "AWS4-HMAC-SHA256 Credential=team/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
    request = urllib.request.Request(url, data, {"Authorization": signature}, method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).close()


async def _serve(port: int, host_key: str, allowed: str) -> None:
    with _asyncssh() as library:
        await library.listen(HOST, port, server_host_keys=[host_key], authorized_client_keys=allowed, sftp_factory=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
