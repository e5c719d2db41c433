"""A headless Chromium, driven through chromedriver's own protocol (W3C WebDriver) with nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def why_not() -> str:
    """Why there is no browser here; empty where there is one."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Browser:
    """One browser window."""

    def __init__(self, base: str, session: str) -> None:
        self._session = f"{base}/session/{session}"

    def open(self, page: Path) -> None:
        self._call("POST", "url", {"url": page.as_uri()})

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns: ``return document.title``."""
        return self._call("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def resize(self, width: int, height: int) -> None:
        self._call("POST", "window/rect", {"width": width, "height": height})

    def print_pdf(self) -> bytes:
        return base64.b64decode(self._call("POST", "print", {}))

    def log(self) -> list[str]:
        """What the page wrote to its console, faults and refusals of its policy too."""
        return [str(entry["message"]) for entry in self._call("POST", "se/log", {"type": "browser"})]

    def alert(self) -> str | None:
        """The text of a dialogue that the page has opened; None where there is none."""
        try:
            return str(self._call("GET", "alert/text", None))
        except urllib.error.HTTPError:
            return None

    def _call(self, method: str, path: str, body: object) -> Any:
        return call(method, f"{self._session}/{path}", body)


def call(method: str, url: str, body: object) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["value"]


@contextmanager
def browser(folder: Path, *, scripts: bool = True) -> Iterator[Browser]:
    """A browser with a profile of its own in the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        options: dict[str, Any] = {"args": [*FLAGS, f"--user-data-dir={folder / 'browser'}"]}
        if not scripts:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = _begin(base, {"capabilities": {"alwaysMatch": wanted}})
        try:
            yield Browser(base, session)
        finally:
            with contextlib.suppress(OSError):  # the driver is ended next, and its browser with it
                call("DELETE", f"{base}/session/{session}", None)
    finally:
        driver.terminate()
        driver.wait(timeout=20)


def _begin(base: str, wanted: object) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            return str(call("POST", f"{base}/session", wanted)["sessionId"])
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
