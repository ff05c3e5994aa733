"""The live page's server, asked over real sockets: what it answers, and what it refuses before it reads."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import edunn
from edunn.play.answers import Answers
from edunn.play.run import Server
from edunn.play.server import LARGEST_BODY, QUESTIONS

STATE = {
    "data": {"source": "random", "samples": 30, "seed": 1},
    "problem": "binary",
    "loss": "bce",
    "w": [-4, 4],
    "b": [-3, 3],
    "size": 16,
}
RACE = {"rules": {"gradient-descent": 0.5, "adam": 0.1}, "starts": [[-3, 2], [0, 0]], "steps": 20}


@dataclass
class Client:
    """A client that sends what it is told to, a token included unless it is told otherwise."""

    server: Server

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        sent = {"X-Edunn-Token": self.server.token} | (headers or {})
        connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def ask(
        self, kind: str, body: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any], list[np.ndarray]]:
        status, _, content = self.request("POST", f"/ask/{kind}", json.dumps(body).encode(), headers)
        if status != 200:
            return status, json.loads(content), []
        (length,) = struct.unpack("<I", content[:4])
        header, at, arrays = json.loads(content[4 : 4 + length]), 4 + length, []
        for count in header["lengths"]:
            arrays.append(np.frombuffer(content, "<f4", count, at))
            at += 4 * count
        assert at == len(content)
        return status, header, arrays

    def raw(self, data: bytes, wait: float = 15.0) -> bytes:
        """Sends bytes as they are, and returns what comes back until the server closes, or stops for a while."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=wait) as connection:
            connection.sendall(data)
            parts = []
            try:
                while part := connection.recv(65536):
                    parts.append(part)
            except TimeoutError:
                pass
            return b"".join(parts)

    @property
    def head(self) -> str:
        """The first lines of a question, for `raw`."""
        host = f"127.0.0.1:{self.server.port}"
        return f"POST /ask/surface HTTP/1.1\r\nHost: {host}\r\nX-Edunn-Token: {self.server.token}\r\n"

    def still_answers(self) -> bool:
        return self.request("GET", "/")[0] == 200


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    server = Server(Answers({"size": x, "price": 3 * x - 1}, ("size", "price")))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.server.started:
        time.sleep(0.01)
    yield Client(server)
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


# ---- the answers -----------------------------------------------------------------------------------------------------


def test_the_page_and_its_files(client: Client) -> None:
    status, headers, content = client.request("GET", "/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert b"main.js" in content
    for name, kind in (("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        status, headers, _ = client.request("GET", f"/{name}")
        assert (status, headers["content-type"].split(";")[0]) == (200, kind)


def test_no_file_of_the_page_names_another_host(client: Client) -> None:
    page = client.request("GET", "/")[2].decode()
    names = ["/", *{part.split('"')[0] for part in page.replace('src="', 'href="').split('href="')[1:]}]
    for name in ("wire.js", "main.js", "scene.js", "style.css", *names):
        content = client.request("GET", "/" + name.lstrip("/"))[2].decode()
        assert "://" not in content.replace("http://www.w3.org/2000/svg", "")


def test_the_javascript_is_small() -> None:
    from edunn.play.server import read_page

    assert sum(len(content) for path, content, _ in read_page() if path.endswith(".js")) < 80_000


def test_a_surface_is_the_library_s(client: Client) -> None:
    status, header, (values,) = client.ask("surface", {"state": STATE})
    assert status == 200
    study = edunn.landscape.study.study("bce", problem="binary", samples=30, seed=1)
    surface = study.grid((-4, 4, 16), (-3, 3, 16))
    np.testing.assert_allclose(values.reshape(16, 16), surface.values.numpy(), rtol=1e-6)
    assert header["w"] == [-4, 4]
    assert header["size"] == [16, 16]
    assert header["lowest"] == pytest.approx(surface.lowest)
    assert header["error"] < 1e-12


def test_readings_data_point_and_paths(client: Client) -> None:
    study = edunn.landscape.study.study("bce", problem="binary", samples=30, seed=1)
    surface = study.grid((-4, 4, 16), (-3, 3, 16))
    _, readings, _ = client.ask("readings", {"state": STATE})
    assert readings["convex"] is True
    assert readings["minima"][0]["loss"] == pytest.approx(surface.minima()[0]["loss"])
    _, data, (numbers,) = client.ask("data", {"state": STATE})
    assert data["samples"] == 30
    np.testing.assert_allclose(numbers.reshape(2, 30)[0], study.x.numpy(), rtol=1e-6)
    _, point, _ = client.ask("point", {"state": STATE, "at": [0.5, -0.5]})
    assert point["loss"] == pytest.approx(float(surface.field.at(torch.tensor([[0.5, -0.5]]).double())[0, 0]))
    hessian = torch.tensor([point["hessian"][:2], point["hessian"][1:]], dtype=torch.float64)
    assert point["stable_rates"]["gradient-descent"] == pytest.approx(2 / float(torch.linalg.eigvalsh(hessian)[-1]))
    _, paths, (path,) = client.ask("paths", {"state": STATE, "race": RACE})
    found = edunn.landscape.paths(surface, [(-3.0, 2.0), (0.0, 0.0)], RACE["rules"], 20)
    assert paths["shape"] == [4, 21, 3]
    np.testing.assert_allclose(path.reshape(2, 2, 21, 3)[..., :2], found.points.numpy(), rtol=1e-5, atol=1e-6)
    assert paths["endings"] == [ending for line in found.endings for ending in line]


def test_gradient_field_and_basins(client: Client) -> None:
    study = edunn.landscape.study.study("bce", problem="binary", samples=30, seed=1)
    surface = study.grid((-4, 4, 16), (-3, 3, 16))
    _, _, (numbers,) = client.ask("slopes", {"state": STATE})
    arrows = torch.from_numpy(numbers.reshape(-1, 4).copy()).double()
    assert surface.field is not None
    torch.testing.assert_close(arrows[:, 2:], -surface.field.at(arrows[:, :2], 1)[1:].mT, rtol=1e-5, atol=1e-6)
    _, header, (labels,) = client.ask("basins", {"state": STATE, "rate": 0.5, "steps": 200})
    found = surface.basins(0.5, 200)
    np.testing.assert_array_equal(labels.reshape(16, 16), found.labels.numpy())
    assert header["best_loss"] == pytest.approx(found.best_loss)
    assert client.ask("basins", {"state": STATE, "rate": 0, "steps": 10})[0] == 400
    assert client.ask("basins", {"state": STATE, "rate": 1, "steps": 10**6})[0] == 400


@pytest.mark.parametrize(
    "data",
    [
        {"source": "random", "samples": 30, "seed": 1},
        {"source": "points", "x": [-1, 0.5, 2, 0.1], "y": [0, 1, 1, 0]},
    ],
    ids=["random", "points"],
)
def test_the_snippet_gives_the_page_s_numbers(client: Client, data: dict[str, Any]) -> None:
    state = STATE | {"data": data, "penalty": "l2", "strength": 0.1}
    _, header, (values,) = client.ask("surface", {"state": state})
    _, snippet, _ = client.ask("snippet", {"state": state, "race": RACE})
    names: dict[str, Any] = {}
    exec(snippet["python"], names)
    np.testing.assert_array_equal(names["surface"].values.float().numpy().ravel(), values)
    assert names["surface"].lowest == header["lowest"]
    _, paths, _ = client.ask("paths", {"state": state, "race": RACE})
    assert names["paths"].points[:, :, -1].flatten(0, 1).tolist() == paths["ends"]


def test_the_file_of_the_command_line(client: Client) -> None:
    about = client.ask("about", {})[1]
    assert about["columns"] == ["size", "price"]
    state = {"data": {"source": "file"}, "problem": "linear", "loss": "mse"}
    _, header, _ = client.ask("surface", {"state": state})
    assert header["lowest"]["loss"] < 1e-2
    status, answer, _ = client.ask("surface", {"state": state | {"data": {"source": "file", "x": "no such"}}})
    assert (status, answer["error"]) == (400, "The file has no column 'no such'.")


# ---- the refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"X-Edunn-Token": None}, 401),
        ({"X-Edunn-Token": ""}, 401),
        ({"X-Edunn-Token": "wrong"}, 401),
        ({"X-Edunn-Token": "wr\xf6ng"}, 401),
    ],
    ids=["foreign-host", "host-without-port", "other-port", "foreign-origin", "null-origin", "https", "no-token",
         "empty-token", "wrong-token", "non-ascii-token"],
)  # fmt: skip
def test_what_another_page_would_send_is_refused(client: Client, headers: dict[str, Any], status: int) -> None:
    assert client.ask("surface", {"state": STATE}, headers)[0] == status
    assert client.still_answers()


def test_the_own_origin_is_answered(client: Client) -> None:
    for host in ("127.0.0.1", "localhost"):
        own = f"{host}:{client.server.port}"
        assert client.ask("surface", {"state": STATE}, {"Host": own, "Origin": f"http://{own}"})[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_work_is_asked_for_by_post(client: Client, method: str) -> None:
    assert client.request(method, "/ask/surface")[0] == 405


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "/state.py", "/page/main.js", "/etc/passwd", "//main.js",
     "/main.js/", "/ask/", "/ask/nothing"],
)  # fmt: skip
def test_no_path_from_the_page_is_opened(client: Client, path: str) -> None:
    assert client.request("GET", path)[0] in (404, 405)
    assert client.still_answers()


def test_a_body_that_is_too_large(client: Client) -> None:
    head = client.head
    declared = client.raw(f"{head}Content-Length: {LARGEST_BODY + 1}\r\n\r\n".encode(), 2)
    assert declared.startswith(b"HTTP/1.1 413")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = client.raw(
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * (LARGEST_BODY // 0x10000 + 1), 5
    )
    assert chunked.startswith(b"HTTP/1.1 413")
    assert client.still_answers()


def test_a_body_that_does_not_arrive(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from edunn.play import server

    monkeypatch.setattr(server, "READ_SECONDS", 0.5)
    head = client.head
    assert client.raw(f"{head}Content-Length: 100\r\n\r\n{{".encode(), 5).startswith(b"HTTP/1.1 408")
    assert client.still_answers()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe", id="no-utf8"),
        pytest.param(b'{"state": {"w": [NaN, 1]}}', id="nan"),
        pytest.param(b'{"state": {"w": [Infinity, 1]}}', id="infinity"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"other": 1}', id="unknown"),
        pytest.param(b'{"state": {}, "race": {}}', id="not-of-this-question"),
        pytest.param(b"{}", id="no-state"),
        pytest.param(b'{"state": ' + b"1" * 5000 + b"}", id="digits"),
    ],
)
def test_what_is_not_a_question(client: Client, body: bytes) -> None:
    status, _, content = client.request("POST", "/ask/surface", body)
    assert status == 400
    assert json.loads(content)["error"]
    assert client.still_answers()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "Unknown key 'colour' in the state"),
        ({"los": "mse"}, "Did you mean 'loss'?"),
        ({"loss": "msee"}, "Unknown loss 'msee'"),
        ({"loss": 3}, "loss is a short text"),
        ({"loss": "m" * 300}, "loss is a short text"),
        ({"problem": "cubic"}, "Unknown problem"),
        ({"activation": "relu"}, "Unknown activation"),
        ({"penalty": "l3"}, "Unknown penalty"),
        ({"strength": -1}, "strength lies between 0"),
        ({"strength": True}, "strength is a finite number"),
        ({"w": [1]}, "w is two numbers"),
        ({"w": [2, 1]}, "low < high"),
        ({"w": [-1e13, 1]}, "lies between"),
        ({"w": "wide"}, "list of at most 2 numbers"),
        ({"size": 1}, "from 2 to 512"),
        ({"size": 513}, "from 2 to 512"),
        ({"size": 64.5}, "whole number"),
        ({"exact": 1}, "exact is true or false"),
        ({"data": []}, "data is an object"),
        ({"data": {"source": "web"}}, "data.source is random"),
        ({"data": {"source": "random", "samples": 10**9}}, "from 1 to 1,000,000"),
        ({"data": {"source": "random", "seed": -1}}, "from 0"),
        ({"data": {"source": "points", "x": [], "y": []}}, "one point or more"),
        ({"data": {"source": "points", "x": [1], "y": []}}, "an x and a y each"),
        ({"data": {"source": "points", "x": [1, "a"], "y": [1, 2]}}, r"data.x[1] is a finite number"),
        ({"data": {"source": "points", "x": [0.5] * 20_001, "y": [0] * 20_001}}, "at most 20,000"),
        ({"data": {"source": "points", "x": [1, 2], "y": [0, 7]}}, "labels 0 and 1"),
        ({"data": {"path": "/etc/passwd"}}, "Unknown key 'path' in data"),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit(client: Client, change: dict[str, Any], words: str) -> None:
    status, answer, _ = client.ask("surface", {"state": STATE | change})
    assert status == 400
    assert words in answer["error"]
    assert client.still_answers()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rules": {}}, "race.rules is an object"),
        ({"rules": ["adam"]}, "race.rules is an object"),
        ({"rules": {"adamm": 1}}, "Did you mean 'adam'?"),
        ({"rules": {"adam": None}}, "the rate of adam is a finite number"),
        ({"rules": {"adam": -1}}, "lies between 0"),
        ({"starts": []}, "1 to 64 points"),
        ({"starts": [[0, 0]] * 65}, "1 to 64 points"),
        ({"starts": [[0]]}, "a start is two numbers"),
        ({"steps": 5001}, "from 1 to 5,000"),
        (
            {"steps": 5000, "starts": [[0, 0]] * 64, "rules": {"adam": 1, "rmsprop": 1, "adagrad": 1, "momentum": 1}},
            "at most 1,000,000",
        ),
        ({"batch_size": 0}, "from 1"),
        ({"rule_file": "x.py"}, "Unknown key 'rule_file' in race"),
    ],
)
def test_a_race_that_does_not_fit(client: Client, change: dict[str, Any], words: str) -> None:
    status, answer, _ = client.ask("paths", {"state": STATE, "race": RACE | change})
    assert status == 400
    assert words in answer["error"]


def test_every_question_of_the_server_is_asked_here() -> None:
    assert set(QUESTIONS) == {
        "about",
        "surface",
        "readings",
        "data",
        "point",
        "paths",
        "slopes",
        "basins",
        "snippet",
        "file",
    }


def test_it_listens_on_this_machine_alone(client: Client) -> None:
    assert client.server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken(client: Client) -> None:
    with pytest.raises(edunn.errors.ConfigError, match=f"Port {client.server.port} cannot be used"):
        Server(Answers(), client.server.port)


def test_it_ends_when_no_one_asks() -> None:
    server = Server(Answers())
    server.idle_seconds = 0.2
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_python_starts_it_on_own_samples() -> None:
    page = edunn.play([0.0, 1.0, 2.0], [1.0, 3.0, 5.0], browser=False, problem="linear", loss="mse")
    try:
        client = Client(page.server)
        state = {"data": {"source": "file"}, "problem": "linear", "loss": "mse"}
        assert client.ask("surface", {"state": state})[1]["lowest"]["loss"] < 0.02
        assert "token=" in page.address
        assert page.address.split("#")[0] in page._repr_html_()
    finally:
        page.stop()
