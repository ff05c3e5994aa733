"""The page from Python: in a frame below a notebook's cell, or in the browser."""

from __future__ import annotations

import html
import json
import sys
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from .answers import Answers
from .run import Server, open_browser
from .state import read_question


class Page:
    """A page that is being served. A notebook shows it; `address` opens it anywhere on this machine."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def address(self) -> str:
        """The page's address, with the token that the server asks for."""
        return self.server.address

    def stop(self) -> None:
        """Ends the server."""
        self.server.stop()

    def __repr__(self) -> str:
        return f"The page is at {self.address}"

    def _repr_html_(self) -> str:
        return f'<iframe src="{html.escape(self.address)}" width="100%" height="820" style="border:0"></iframe>'


def start(x: Any, y: Any, port: int, browser: bool, state: dict[str, Any]) -> Page:
    """Starts a server in a thread, with samples and a state of the page's controls."""
    columns: dict[str, Tensor] = {}
    chosen = ("", "")
    if x is not None or y is not None:
        from ..landscape.build import one_feature
        from ..losses import SquaredError

        plane = one_feature(x, y, SquaredError(), None, torch.float64, "cpu")  # checks both
        columns, chosen = {"x": plane.x, "y": plane.targets}, ("x", "y")
        state = {"data": {"source": "file", "x": "x", "y": "y"}} | state
    read_question(state)  # refuses a wrong state here, and not on the page
    server = Server(Answers(columns, chosen), port, "state=" + quote(json.dumps(state)) if state else "")
    server.start()
    page = Page(server)
    if browser and "ipykernel" not in sys.modules:
        open_browser(page.address)
    return page
