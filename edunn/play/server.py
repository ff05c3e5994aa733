"""The one file of Python that knows HTTP: a server for one user's browser on this machine.

It binds 127.0.0.1 alone. A page from elsewhere can still make a browser on this machine send requests, so each one is
checked before it is read: its Host names this server, its Origin, where it has one, is this server, and a token that
only the address printed on the terminal holds comes in a header of our own. Work is asked for by POST, in JSON of a
bounded size, and what is asked for is bounded in `state`. No path from the page is ever opened: the files of the page
are read once, at the start.

Answers: 4 bytes with the length of a JSON header, the header, and its arrays as float32, all little-endian.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import math
import secrets
import struct
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import EdunnError, check_count
from .answers import Answer, Answers
from .state import LARGEST, MOST_STEPS, number, pair, read_question, read_race

HOST = "127.0.0.1"
LARGEST_BODY = 4_000_000  # bytes
READ_SECONDS = 10.0  # for a whole body to arrive
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Ask = Callable[[Answers, dict[str, Any]], Answer]


def ask_surface(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.surface(read_question(body["state"]))


def ask_readings(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.readings(read_question(body["state"]))


def ask_data(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.data(read_question(body["state"]))


def ask_point(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.point(read_question(body["state"]), pair("at", body.get("at")))


def ask_paths(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.paths(read_question(body["state"]), read_race(body.get("race")))


def ask_slopes(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.slopes(read_question(body["state"]))


def ask_basins(answers: Answers, body: dict[str, Any]) -> Answer:
    rate = number("rate", body.get("rate"), 1e-12, LARGEST)
    return answers.basins(read_question(body["state"]), rate, check_count("steps", body.get("steps"), 1, MOST_STEPS))


def ask_file(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.file(read_question(body["state"]))


def ask_snippet(answers: Answers, body: dict[str, Any]) -> Answer:
    race = body.get("race")
    return answers.snippet(read_question(body["state"]), None if race is None else read_race(race))


def ask_about(answers: Answers, body: dict[str, Any]) -> Answer:
    return answers.about(), []


QUESTIONS: dict[str, tuple[Ask, frozenset[str]]] = {
    "about": (ask_about, frozenset()),
    "surface": (ask_surface, frozenset({"state"})),
    "readings": (ask_readings, frozenset({"state"})),
    "data": (ask_data, frozenset({"state"})),
    "point": (ask_point, frozenset({"state", "at"})),
    "paths": (ask_paths, frozenset({"state", "race"})),
    "slopes": (ask_slopes, frozenset({"state"})),
    "basins": (ask_basins, frozenset({"state", "rate", "steps"})),
    "file": (ask_file, frozenset({"state"})),
    "snippet": (ask_snippet, frozenset({"state", "race"})),
}


class Guard:
    """Refuses, before the body is read, what this server's own page would not send."""

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self.app, self.port = app, port
        self.token = token.encode()
        self.last_request = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.last_request = time.monotonic()
            refusal = self.refuse(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def refuse(self, scope: Scope) -> Response | None:
        """Returns the refusal of a request, or None."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        own = [f"{host}:{self.port}".encode() for host in (HOST, "localhost")]
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0].lower() not in own:
            return complain(421, "This server answers to its own address alone.")
        for origin in headers.get(b"origin", []):
            if origin.lower() not in [b"http://" + host for host in own]:
                return complain(403, "Another page's requests are not answered.")
        if scope["path"].startswith("/ask/"):
            tokens = headers.get(b"x-edunn-token", [])
            if len(tokens) != 1 or not hmac.compare_digest(tokens[0], self.token):
                return complain(401, "The token is missing or wrong. Open the address that edunn play printed.")
        return None


def complain(status: int, sentence: str) -> Response:
    """Returns an error with its sentence as JSON."""
    return Response(json.dumps({"error": sentence}), status, HEADERS, "application/json")


async def read_body(request: Request) -> bytes | None:
    """Returns the body, or None if it is too large. It is counted while it arrives, whatever length it declares."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > LARGEST_BODY:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
    return b"".join(parts)


def refuse_constant(name: str) -> float:
    raise ValueError(name)


def pack(answer: Answer) -> bytes:
    """Returns an answer as bytes, its arrays as float32. nan and ±inf are null in the header; arrays keep them."""
    header, arrays = answer
    text = json.dumps(finite(header | {"lengths": [int(array.size) for array in arrays]}), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)  # so that the numbers begin at a multiple of 4
    return struct.pack("<I", len(text)) + text + b"".join(array.astype("<f4").tobytes() for array in arrays)


def finite(value: Any) -> Any:
    """Returns the same lists and dictionaries, with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_app(answers: Answers, port: int, token: str | None = None) -> tuple[Guard, str]:
    """Returns the application and its token, 24 random bytes unless given."""
    token = token or secrets.token_urlsafe(24)
    work = asyncio.Semaphore(2)  # surfaces at a time: more would only wait for the same cores

    def answer_to(ask: Ask, keys: frozenset[str]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                body = await asyncio.wait_for(read_body(request), READ_SECONDS)
            except TimeoutError:
                return complain(408, "The request took too long to arrive.")
            except ClientDisconnect:
                return complain(400, "The request was broken off.")
            if body is None:
                return complain(413, f"A request has at most {LARGEST_BODY:,} bytes.")
            try:
                given = json.loads(body or b"{}", parse_constant=refuse_constant)
            except (ValueError, RecursionError):
                return complain(400, "The request is not JSON.")
            if not isinstance(given, dict) or not set(given) <= keys or ("state" in keys and "state" not in given):
                return complain(400, f"A request is an object of {', '.join(sorted(keys)) or 'nothing'}.")
            async with work:
                try:
                    answer = await run_in_threadpool(ask, answers, given)
                except EdunnError as error:
                    return complain(400, str(error))
            return Response(pack(answer), 200, HEADERS, "application/octet-stream")

        return endpoint

    async def missing(request: Request, error: Exception) -> Response:
        return complain(404, "There is nothing at this address.")

    async def wrong_method(request: Request, error: Exception) -> Response:
        return complain(405, "Questions are asked by POST, and the page is read by GET.")

    async def failed(request: Request, error: Exception) -> Response:
        return complain(500, f"{type(error).__name__}: the server could not answer. Please report it.")

    routes = [Route(f"/ask/{name}", answer_to(*question), methods=["POST"]) for name, question in QUESTIONS.items()]
    for path, content, kind in read_page():
        routes.append(Route(path, serve(content, kind), methods=["GET"]))
    app = Starlette(routes=routes, exception_handlers={404: missing, 405: wrong_method, 500: failed})
    app.router.redirect_slashes = False
    return Guard(app, port, token), token


def serve(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint of one file."""

    async def endpoint(request: Request) -> Response:
        return Response(content, 200, HEADERS, kind)

    return endpoint


def read_page() -> list[tuple[str, bytes, str]]:
    """Returns the page's files: their paths, contents and types. They are read once, before the first request."""
    found = []
    for file in sorted(files(__package__).joinpath("page").iterdir(), key=lambda file: file.name):
        kind = TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found.append(("/" if file.name == "index.html" else f"/{file.name}", file.read_bytes(), kind))
    return found
