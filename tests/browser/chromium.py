"""A real headless Chromium, spoken to by its DevTools protocol: what a page looks like once it is laid out."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def find() -> str | None:
    """Return the path of a Chromium on this machine; RESONATE_TEST_CHROMIUM names another."""
    named = os.environ.get("RESONATE_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = 0
        self._session: str | None = None
        self._loaded = False
        self.requests: list[str] = []
        """The addresses that it asked for."""
        self.complaints: list[str] = []
        """What the browser found wrong."""

    async def ask(self, method: str, **params: Any) -> Any:
        """Do one command and return its result."""
        self._numbers += 1
        number = self._numbers
        message = {"id": number, "method": method, "params": params}
        await self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._heard(answer)

    def _heard(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Page.loadEventFired":
                self._loaded = True
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case _:
                pass

    async def begin(self) -> None:
        """Open the tab."""
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.ask(f"{domain}.enable")

    async def show(self, path: Path, *, width: int, height: int = 800, dark: bool = False) -> None:
        """Load a file at a width, in a colour scheme; return once it is laid out."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        await self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear()
        self._loaded = False
        await self.ask("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._heard(json.loads(await self._socket.recv()))

    async def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of what is seen, or of the whole page."""
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser(executable: str) -> AsyncGenerator[Page]:
    """Run a browser with one tab, and end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            executable,
            *FLAGS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(60):
                address = ""
                while "ws://" not in address:
                    line = await process.stderr.readline()
                    assert line, "the browser ended before it was ready"
                    address = line.decode(errors="replace")
            drain = asyncio.ensure_future(process.stderr.read())
            async with connect(address[address.index("ws://") :].strip(), max_size=None) as socket:
                page = Page(socket)
                await page.begin()
                yield page
                await page.ask("Page.disable")
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        await drain
