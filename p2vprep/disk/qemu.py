"""The only home of qemu-img and qemu-nbd.

Every call names format and protocol itself, runs with a clean environment, under memory
and CPU limits and a time limit, dies with this process, and turns a failure into a typed
error that carries the tool's own last words.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2vprep.disk import alias, image
from p2vprep.disk.image import Image, shown
from p2vprep.disk.signals import undisturbed
from p2vprep.errors import CannotOpenError, FailedError, P2vprepError, RefusedError

_MEMORY = 4 << 30
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_QUICK = 60.0
_PATIENT = 24 * 3600.0
_STOP_GRACE = 5.0
_PACKAGES = {
    "qemu-img": "qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, RHEL)",
    "qemu-nbd": "qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, RHEL)",
    "prlimit": "util-linux",
    "setpriv": "util-linux",
}
_PERCENT = re.compile(rb"\(\s*([0-9.]+)/100%\)")

OUTPUT_FORMATS: dict[str, tuple[str, str]] = {
    "raw": ("raw", ""),
    "qcow2": ("qcow2", ""),
    "vhdx": ("vhdx", "subformat=dynamic"),
    "vhdx-fixed": ("vhdx", "subformat=fixed"),
    "vhd": ("vpc", "subformat=dynamic,force_size=on"),
    "vhd-fixed": ("vpc", "subformat=fixed,force_size=on"),
    "vmdk": ("vmdk", "subformat=monolithicSparse"),
    "vmdk-stream": ("vmdk", "subformat=streamOptimized"),
}
"""What ``convert`` can write: our name to QEMU's driver and its options."""


@dataclass(frozen=True)
class Overlay:
    """A qcow2 overlay and the image below it (which may have moved since the overlay was made)."""

    path: Path
    base: Image


Target = Image | Overlay


# --- what is done with images --------------------------------------------------------------------


def create_overlay(base: Image, path: Path, cluster_size: int = 4096) -> Overlay:
    """An empty qcow2 overlay on an image, on stable storage when this returns.

    Small clusters keep what is written close to what changed. The file must not exist.
    """
    _must_not_exist(path)
    try:
        _qemu_img(
            "create", "-q", "-f", "qcow2", "-F", base.format, "-b", image.json_filename(base),
            "-o", f"cluster_size={cluster_size}", "--", _argument(path), str(base.virtual_size),
            subject=path,
        )  # fmt: skip
        _sync(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Overlay(path, base)


def commit(overlay: Overlay) -> None:
    """Brings what the overlay holds into its base, on stable storage when this returns.

    The overlay stays as it is, so that this can be repeated after a crash at any moment.
    """
    if overlay.base.writable is not None:
        raise RefusedError(
            f"The image cannot be changed in place: {overlay.base.writable}.",
            code="image-format-read-only",
            subject=shown(overlay.base.path),
            hint="Pass --output NEW to write the result to a new image.",
        )
    _qemu_img(
        "commit", "-q", "-d", "--", target_name(overlay),
        subject=overlay.base.path, timeout=_PATIENT, failure=FailedError,
    )  # fmt: skip
    for file in overlay.base.files:
        _sync(file)


def convert(
    source: Target, path: Path, output_format: str, progress: Callable[[float], None] | None = None
) -> Image:
    """Writes the whole disk to a new image, complete and on stable storage when this returns.

    ``output_format`` is a name in OUTPUT_FORMATS; ``progress`` is told percents. The file
    appears under its name only when it is complete, and must not exist before.
    """
    driver, options = OUTPUT_FORMATS[output_format]
    _must_not_exist(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    chosen = ("-o", options) if options else ()
    try:
        _qemu_img(
            "convert", "-p", "-O", driver, *chosen, "--", target_name(source), _argument(partial),
            subject=path, timeout=_PATIENT, failure=FailedError, progress=progress,
        )  # fmt: skip
        _sync(partial)
        partial.rename(path)
        _sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return image.probe(path, allow={"image-format-unknown", "image-format-mismatch"})


def replay_log(dirty: Image) -> None:
    """Replays the log of a VHDX that was not closed cleanly; this changes the file."""
    _qemu_img(
        "check", "-q", "-r", "all", "--", image.json_filename(dirty),
        subject=dirty.path, timeout=_PATIENT, failure=FailedError,
    )  # fmt: skip
    for file in dirty.files:
        _sync(file)


def info(target: Target) -> dict[str, Any]:
    """What ``qemu-img info`` says; CannotOpenError where QEMU cannot open it."""
    subject = target.path
    output = _qemu_img("info", "--output=json", "--", target_name(target), subject=subject)
    document: dict[str, Any] = json.loads(output)
    return document


def target_name(target: Target) -> str:
    """An image or an overlay as ``json:`` name; an overlay with its base named explicitly."""
    if isinstance(target, Image):
        return image.json_filename(target)
    return image.as_json(_overlay_options(target))


def _overlay_options(overlay: Overlay) -> dict[str, Any]:
    base = image.blockdev(overlay.base, read_only=True)
    del base["read-only"]  # a backing file is read-only by default, but commit has to lift that
    return {
        "driver": "qcow2",
        "file": {"driver": "file", "filename": alias.plain((overlay.path,))},
        "backing": base,
    }


def versions() -> dict[str, str | None]:
    """The versions of the tools; None where one is missing."""
    return {tool: _version(tool) for tool in ("qemu-img", "qemu-nbd")}


def _version(tool: str) -> str | None:
    try:
        output = _run([tool, "--version"], subject=None, timeout=_QUICK, failure=CannotOpenError)
    except CannotOpenError as error:
        if error.code != "tool-missing":
            raise
        return None
    words = re.search(rb"[0-9]+(\.[0-9]+)+", output)
    return words[0].decode() if words else "unknown"


# --- the server ----------------------------------------------------------------------------------


@dataclass
class Server:
    """A running qemu-nbd that serves one disk to one client on a private socket."""

    socket: str
    process: subprocess.Popen[bytes]
    errors: Path

    def kill(self) -> None:
        """Ends it at once; the client's connection breaks."""
        _kill(self.process)

    def last_words(self) -> str:
        """What it said last, for error messages."""
        return _last_line(self.errors.read_bytes())


@contextmanager
def serve(target: Target, *, read_only: bool) -> Iterator[Server]:
    """A qemu-nbd for one client; it has ended when the context is left.

    It listens on a socket in a private folder; there is no TCP. ``target`` is an image or
    an overlay. The client should have disconnected before, else its writes may be lost.
    """
    with tempfile.TemporaryDirectory(prefix="p2vprep-nbd-") as folder:
        address = f"{folder}/socket"
        errors = Path(folder, "errors")
        mode = ["--read-only"] if read_only else []
        # systemd's socket activation: the server finds the listening socket as descriptor 3.
        script = 'exec 3<&0 </dev/null; LISTEN_FDS=1; LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec "$@"'
        command = ["/bin/sh", "-c", script, "sh", *_limits(None), _tool("qemu-nbd"),
                   "--allocation-depth", "--discard=ignore", "--detect-zeroes=off", *mode,
                   "--", target_name(target)]  # fmt: skip
        with socket.socket(socket.AF_UNIX) as listener, errors.open("wb") as sink:
            listener.bind(address)
            listener.listen(1)
            process: subprocess.Popen[bytes] | None = None
            served = False
            try:
                with undisturbed():
                    process = _start(
                        command, stdin=listener.fileno(), stdout=sink.fileno(), stderr=sink.fileno()
                    )
                listener.close()
                sink.close()
                served = True
                yield Server(address, process, errors)
            finally:
                if process is not None:
                    # It ends by itself once its client has gone; one that hangs is killed.
                    if served:
                        with suppress(subprocess.TimeoutExpired):
                            process.wait(_STOP_GRACE)
                    _kill(process)


# --- running -------------------------------------------------------------------------------------


def _qemu_img(
    *arguments: str,
    subject: Path,
    timeout: float = _QUICK,
    failure: type[P2vprepError] = CannotOpenError,
    progress: Callable[[float], None] | None = None,
) -> bytes:
    command = ["qemu-img", *arguments]
    return _run(command, subject=subject, timeout=timeout, failure=failure, progress=progress)


def _run(
    command: Sequence[str],
    *,
    subject: Path | None,
    timeout: float,
    failure: type[P2vprepError],
    progress: Callable[[float], None] | None = None,
) -> bytes:
    """What a tool printed; the typed error ``failure`` where it did not succeed in time."""
    tool = command[0]
    cpu_seconds = int(timeout) if timeout <= _QUICK else None
    full = [*_limits(cpu_seconds), _tool(tool), *command[1:]]
    with tempfile.TemporaryFile() as errors:
        process: subprocess.Popen[bytes] | None = None
        try:
            # A signal while the child is made would leave it without anybody to end it (observed: an
            # overlay made after its run had been discarded).
            with undisturbed():
                process = _start(
                    full, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors.fileno()
                )
            output = _collect(process, time.monotonic() + timeout, progress)
            status = process.wait(_STOP_GRACE)
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise failure(
                f"{tool} {command[1]} did not end within {timeout:.0f} seconds and was stopped.",
                code="qemu-timeout",
                subject=shown(subject) if subject else None,
                hint="Check the storage the image lies on, then try again.",
            ) from error
        finally:
            if process is not None:
                _kill(process)
        errors.seek(0)
        if status != 0:
            raise _failed(command, status, errors.read(), subject, failure)
    return output


def _collect(
    process: subprocess.Popen[bytes], deadline: float, progress: Callable[[float], None] | None
) -> bytes:
    """All output until its end, while the progress it shows is passed on."""
    assert process.stdout is not None
    pieces: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(process.stdout.fileno(), 1 << 16)
        if not piece:
            return b"".join(pieces)
        if progress is None:
            pieces.append(piece)
        elif percents := _PERCENT.findall(piece):
            progress(float(percents[-1]))


def _start(command: Sequence[str], *, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C stops us, and we decide what becomes of the tool.
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={"PATH": _SEARCH_PATH, "LC_ALL": "C", "HOME": "/", "TMPDIR": tempfile.gettempdir()},
        cwd="/",
        start_new_session=True,
    )


def _limits(cpu_seconds: int | None) -> list[str]:
    """The words before a command that limit it and let it die with us.

    To the kernel "us" is the thread that started it, so a thread has to outlive its tools.
    """
    cpu = [f"--cpu={cpu_seconds}"] if cpu_seconds else []
    # Had we died before setpriv asked for the signal, nobody would send it: a server would wait for its
    # client for ever and hold its lock on the image (observed). So the tool only starts as our child.
    return [
        _tool("setpriv"), "--pdeathsig=KILL", "--",
        "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()),
        _tool("prlimit"), f"--as={_MEMORY}", "--core=0", *cpu, "--",
    ]  # fmt: skip


def _tool(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", _SEARCH_PATH))
    if path is None:
        raise CannotOpenError(
            f"The program {name} is missing.",
            code="tool-missing",
            subject=name,
            hint=f"Install the package {_PACKAGES[name]}.",
        )
    return path


def _failed(
    command: Sequence[str], status: int, said: bytes, subject: Path | None, failure: type[P2vprepError]
) -> P2vprepError:
    where = shown(subject) if subject else None
    tool = " ".join(command[:2])
    words = _last_line(said)
    if b"Is another process using the image" in said:
        return RefusedError(
            f"Another program uses the image: {words}",
            code="image-in-use",
            subject=where,
            hint="Shut the machine down, or wait until the other program has ended.",
        )
    if b"No space left" in said:
        return FailedError(
            f"The storage is full: {words}", code="no-space", subject=where, hint="Make room, then try again."
        )
    reason = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return failure(
        f"{tool} failed ({reason}): {words or 'it did not say why'}",
        code="qemu-failed",
        subject=where,
        hint="The message is QEMU's own; the image may be damaged or its storage not reachable.",
    )


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.kill()
        process.wait()


def _argument(path: Path) -> str:
    """A file name that no tool takes for a protocol or an option."""
    return str(path.parent.resolve() / path.name)


def _must_not_exist(path: Path) -> None:
    if os.path.lexists(path):
        raise RefusedError(
            "There is a file of that name already; it is not overwritten.",
            code="output-exists",
            subject=shown(path),
            hint="Name another file, or move this one away.",
        )


def _sync(path: Path) -> None:
    """Everything written to a file or folder, and its name, on stable storage."""
    for entry in (path, path.parent):
        descriptor = os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
