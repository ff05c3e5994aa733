"""Starts the page's server: finds a port, says the address, opens the browser, and ends when it is no longer used."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable

import uvicorn

from ..errors import ConfigError
from .answers import Answers
from .server import HOST, Guard, make_app

IDLE_SECONDS = 1800.0  # after the last request


class Server:
    """A server that is bound to its port already. `address` holds the token, and `run` blocks until it ends."""

    def __init__(self, answers: Answers, port: int = 0, state: str = "", token: str | None = None) -> None:
        self.socket = bind(port)
        self.port: int = self.socket.getsockname()[1]
        self.guard, self.token = make_app(answers, self.port, token)
        self.address = f"http://{HOST}:{self.port}/#token={self.token}{'&' + state.lstrip('#&') if state else ''}"
        config = uvicorn.Config(
            self.guard, log_level="critical", access_log=False, lifespan="off", server_header=False, date_header=False,
            timeout_keep_alive=5, h11_max_incomplete_event_size=16_384, limit_concurrency=64, ws="none",
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.idle_seconds = IDLE_SECONDS

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serves until it is stopped: by `stop`, by Ctrl-C, or after half an hour without a request."""

        async def serve() -> None:
            watch = asyncio.create_task(self.watch(ready))
            try:
                await self.server.serve(sockets=[self.socket])
            finally:
                watch.cancel()
                self.socket.close()

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())

    async def watch(self, ready: Callable[[], None] | None) -> None:
        while not self.server.started:
            await asyncio.sleep(0.01)
        if ready is not None:
            ready()
        guard: Guard = self.guard
        while time.monotonic() - guard.last_request < self.idle_seconds:
            await asyncio.sleep(min(5.0, self.idle_seconds))
        self.stop()

    def stop(self) -> None:
        """Ends the server after the requests that are under way."""
        self.server.should_exit = True

    def start(self) -> None:
        """Serves from a thread of its own, for a notebook."""
        self.server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        threading.Thread(target=self.run, daemon=True).start()
        while not self.server.started:
            time.sleep(0.01)


def bind(port: int) -> socket.socket:
    """Returns a socket that listens on 127.0.0.1, on a free port where `port` is 0."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would share a port that is in use; here it takes one that was just left
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(f"Port {port} cannot be used: {error}. Leave --port out to take a free one.") from None
    listener.listen(128)
    return listener


def open_browser(address: str) -> None:
    """Opens the address, in a thread of its own, since some browsers block until they are closed."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
