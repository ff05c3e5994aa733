"""The live page in headless Chromium: what a student clicks, drags and types, and what the page then shows.

They count, compare numbers and read words; none measures time.
"""

from __future__ import annotations

import re
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from json import dumps, loads
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pytest
import torch

import edunn
from edunn import landscape
from edunn.landscape import study
from edunn.play.answers import Answers
from edunn.play.run import Server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.xdist_group("browser"),  # one browser
]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>"


class Serving:
    """A server in a thread of its own, which can be stopped and started again at the same address."""

    def __init__(self) -> None:
        x = torch.linspace(-2, 2, 40, dtype=torch.float64)
        self.answers = Answers({EVIL: x, "price": 3 * x - 1, "other": -x}, (EVIL, "price"))
        self.port, self.token = 0, None
        self.start()

    def start(self) -> None:
        self.server = Server(self.answers, self.port, token=self.token)
        self.port, self.token = self.server.port, self.server.token
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(20)

    def address(self, **given: Any) -> str:
        parts = [f"token={self.token}"] + [
            f"{k}={quote(v if isinstance(v, str) else dumps(v))}" for k, v in given.items()
        ]
        return f"http://127.0.0.1:{self.port}/#" + "&".join(parts)


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    found = Serving()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


SETTLED = "() => document.body.ariaBusy === 'false'"
Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, serving: Serving) -> Iterator[Open]:
    """Opens the page in a fresh profile. The test fails if the page wrote an error to its console."""
    contexts, trouble = [], []

    def open_(
        width: int = 1440,
        height: int = 900,
        scheme: str = "light",
        motion: str = "reduce",
        before: str = "",
        **given: Any,
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: message.type == "error" and trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        if before:
            page.add_init_script(before)
        page.goto(serving.address(**given))
        page.trouble = trouble
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not [words for words in trouble if "ERR_CONNECTION" not in words and "400" not in words]


def settle(page: Any) -> Any:
    """Waits until the page has shown all that its last change asked for."""
    page.wait_for_function(SETTLED)
    return page


def readings(page: Any) -> dict[str, str]:
    names, values = page.locator("#readings dt").all_inner_texts(), page.locator("#readings dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def number(words: str) -> float:
    return float(re.search(r"-?\d[\d.]*(e-?\d+)?", words.replace("−", "-"))[0])  # type: ignore[index]


def state_of(page: Any) -> dict[str, Any]:
    found = re.search(r"state=([^&]*)", page.url)
    return loads(unquote(found[1].replace("+", " "))) if found else {}


def coloured(page: Any, canvas: str) -> int:
    """Returns how many pixels of a canvas are drawn."""
    return int(
        page.evaluate(
            """(id) => { const canvas = document.getElementById(id); const copy = document.createElement('canvas');
            copy.width = canvas.width; copy.height = canvas.height; const pen = copy.getContext('2d');
            pen.drawImage(canvas, 0, 0); const data = pen.getImageData(0, 0, copy.width, copy.height).data;
            let count = 0; for (let k = 3; k < data.length; k += 4) count += data[k] > 0; return count; }""",
            canvas,
        )
    )


def paths_answer(page: Any, act: Callable[[], Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Returns the header and the numbers of the next answer to a race, which `act` brings about."""
    with page.expect_response("**/ask/paths") as found:
        act()
    content = found.value.body()
    (length,) = struct.unpack("<I", content[:4])
    header = loads(content[4 : 4 + length])
    return header, np.frombuffer(content, "<f4", header["lengths"][0], 4 + length).reshape(header["shape"])


# ---- the page --------------------------------------------------------------------------------------------------------


def test_it_opens_on_a_preset_with_everything_drawn(open_page: Open) -> None:
    page = settle(open_page())
    assert page.title() == "edunn play: the surface of a loss"
    assert "flat far from the minimum" in page.inner_text("#story")
    for canvas in ("scene", "scene-over", "map", "data", "loss"):
        assert coloured(page, canvas) > 500, canvas
    assert coloured(page, "scene") > 20_000


def test_the_token_leaves_the_address_at_once(open_page: Open) -> None:
    page = settle(open_page())
    assert "token" not in page.url
    page.reload()
    settle(page)
    assert page.evaluate("() => sessionStorage.getItem('edunn-token').length") >= 24


def test_nothing_is_asked_of_another_host(open_page: Open, serving: Serving) -> None:
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    settle(page)
    assert len(asked) > 10
    assert all(address.startswith(f"http://127.0.0.1:{serving.port}/") for address in asked)


def test_every_preset_has_a_sentence_and_a_race(open_page: Open) -> None:
    page = settle(open_page())
    keys = [option.get_attribute("value") for option in page.locator("#preset option").all()][1:]
    assert len(keys) >= 5
    for key in keys:
        page.select_option("#preset", key)
        settle(page)
        assert len(page.inner_text("#story")) > 40
        page.wait_for_function("() => document.querySelector('.ending')?.textContent")
        assert "refused" not in (page.get_attribute("#status", "class") or "")


def test_the_readings_are_the_library_s(open_page: Open) -> None:
    state = {
        "problem": "binary",
        "loss": "bce",
        "w": [-6, 6],
        "b": [-5, 5],
        "data": {"source": "random", "samples": 60, "seed": 2},
    }
    page = settle(open_page(state=state))
    surface = study.study("bce", problem="binary", samples=60, seed=2).grid((-6, 6, 256), (-5, 5, 256))
    found = readings(page)
    assert number(found["minimum"]) == pytest.approx(surface.minima()[0]["loss"], rel=1e-3)
    assert found["Convex"] == "yes"
    assert number(found["Condition number"]) == pytest.approx(surface.condition()[0], rel=1e-3)


def test_a_loss_that_falls_for_ever_is_named(open_page: Open) -> None:
    page = settle(open_page())
    page.select_option("#preset", "separable")
    settle(page)
    assert "falls for ever" in readings(page)


def test_another_loss_is_another_surface(open_page: Open) -> None:
    page = settle(open_page())
    assert "mse through sigmoid" in page.inner_text("#title")
    page.get_by_label("Loss", exact=True).select_option("bce")
    page.wait_for_function("() => document.querySelector('#title').textContent.startsWith('bce')")
    settle(page)
    assert readings(page)["Convex"] == "yes"


def test_a_problem_offers_its_own_losses(open_page: Open) -> None:
    page = settle(open_page())
    page.get_by_label("Problem").select_option("linear")
    options = page.get_by_label("Loss", exact=True).locator("option").all_inner_texts()
    assert options == ["squared error", "absolute error", "huber"]


def test_a_slider_of_samples(open_page: Open) -> None:
    page = settle(open_page())
    page.get_by_label("Samples", exact=True).focus()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => Number(document.querySelector('#dataTitle').textContent) > 150")
    settle(page)
    assert state_of(page)["data"]["samples"] == int(page.inner_text("#dataTitle"))


# ---- the race --------------------------------------------------------------------------------------------------------


def test_a_click_starts_a_race(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    before = coloured(page, "loss")
    page.click("#map", position={"x": 150, "y": 150})
    page.wait_for_function("() => document.querySelector('.ending').textContent")
    assert len(state_of(page)["starts"]) == 1
    assert coloured(page, "loss") > before


def test_the_keyboard_alone_starts_a_race(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    page.focus("#map")
    for key in ("Shift+ArrowLeft", "Shift+ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("() => document.querySelector('.ending').textContent")
    ((w, b),) = state_of(page)["starts"]
    assert (w, b) == pytest.approx((-2.4, 0.24))
    page.focus("#scene")
    page.keyboard.press("ArrowLeft")


def test_five_paths_are_the_library_s(open_page: Open) -> None:
    rates = {"gradient-descent": 0.5, "momentum": 0.1, "adagrad": 0.5, "rmsprop": 0.05, "adam": 0.1}
    state = {"loss": "bce", "w": [-6, 6], "b": [-6, 6], "rates": rates, "steps": 200}
    page = settle(open_page(state=state))
    header, numbers = paths_answer(page, lambda: page.click("#map", position={"x": 150, "y": 150}))
    surface = study.study("bce", problem="binary", samples=100, seed=0).grid((-6, 6, 256), (-6, 6, 256))
    found = landscape.paths(surface, state_of(page)["starts"], rates, 200)
    np.testing.assert_allclose(numbers[..., :2], found.points[:, 0].numpy(), rtol=1e-5, atol=1e-5)
    assert header["ends"] == found.points[:, 0, -1].tolist()


def test_divergence_is_told_at_the_step_that_python_says(open_page: Open) -> None:
    state = {
        "problem": "linear",
        "loss": "mse",
        "w": [-8, 12],
        "b": [-9, 11],
        "starts": [[-2, 6]],
        "steps": 500,
        "rates": {"gradient-descent": 10},
    }
    page = settle(open_page(state=state))
    page.wait_for_function("() => document.querySelector('.ending').textContent")
    words = page.inner_text("[data-ending='gradient-descent'] .ending")
    x, y = study.random_data("linear", 100, 0)
    model = edunn.models.LinearRegression(1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(-2)
        model.bias.fill_(6)
    history = edunn.descend(model, edunn.losses.SquaredError(), edunn.Samples(x.view(-1, 1), y), rate=10, epochs=500)
    assert "diverged" in words
    assert f"after {int(number(words))} steps" in history.message


def test_the_stable_rate_is_marked(open_page: Open) -> None:
    page = settle(open_page(state={"problem": "linear", "loss": "mse", "w": [-8, 12], "b": [-9, 11]}))
    mark = page.locator("[data-rule='gradient-descent'] .mark")
    mark.wait_for(state="visible")
    x, _ = study.random_data("linear", 100, 0)
    design = torch.stack([x, torch.ones_like(x)], 1)
    largest = float(torch.linalg.eigvalsh(2 * design.mT @ design / 100)[-1])
    assert number(mark.get_attribute("title")) == pytest.approx(2 / largest, rel=1e-3)


def test_the_scrubber_shows_a_step(open_page: Open) -> None:
    page = settle(open_page())
    page.wait_for_function("() => document.querySelector('.ending').textContent")
    assert page.inner_text("#step") == "step 300"
    page.evaluate(
        "() => { const t = document.querySelector('#time'); t.value = 500; t.dispatchEvent(new Event('input')); }"
    )
    assert page.inner_text("#step") == "step 150"


def test_motion_is_spared_where_it_is_not_wanted(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    page.click("#map", position={"x": 150, "y": 150})
    page.wait_for_function("() => document.querySelector('.ending').textContent")
    assert page.inner_text("#step") == "step 300"


def test_motion_runs_to_the_last_step(open_page: Open) -> None:
    page = settle(open_page(motion="no-preference", state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    page.click("#map", position={"x": 150, "y": 150})
    page.wait_for_function("() => document.querySelector('#step').textContent === 'step 300'")


def test_a_rule_is_taken_and_left(open_page: Open) -> None:
    page = settle(open_page())
    page.get_by_role("checkbox", name="adamw").check()
    page.wait_for_function("() => document.querySelector('[data-ending=adamw] .ending').textContent")
    assert "adamw" in state_of(page)["rates"]
    page.get_by_role("checkbox", name="adamw").uncheck()
    assert page.locator("[data-rule='adamw']").count() == 0


# ---- the samples -----------------------------------------------------------------------------------------------------


def test_a_dragged_point_moves_the_minimum(open_page: Open) -> None:
    page = settle(open_page())
    page.select_option("#preset", "outlier")
    settle(page)
    before = readings(page)["minimum"]
    area = page.locator("#data").bounding_box()
    # the outlier, (2, −9), in a frame of 52, 12, 10 and 34 pixels about data with margins of 8 and 12 percent
    x = area["x"] + 52 + (2 + 2.32) / 4.64 * (area["width"] - 64)
    y = area["y"] + 10 + (1 - (-9 + 10.548) / 15.996) * (area["height"] - 44)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, area["y"] + 60, steps=8)
    page.mouse.up()
    page.wait_for_function("(before) => document.querySelector('#readings dd')?.textContent !== before", arg=before)
    assert -9 not in state_of(page)["data"]["y"]


def test_pasted_points_are_read_and_nonsense_is_passed_over(open_page: Open) -> None:
    page = settle(open_page())
    page.get_by_label("Problem").select_option("linear")
    page.get_by_label("From").select_option("points")
    area = page.locator("textarea")
    area.fill("x,y\n1, 2\n2; 4\n3\t6.5\n<b>4</b>, 8\n\n5,")
    area.dispatch_event("change")
    page.wait_for_function("() => document.querySelector('#dataTitle').textContent === '3'")
    assert state_of(page)["data"] == {"source": "points", "x": [1, 2, 3], "y": [2, 4, 6.5]}


def test_a_column_s_name_is_text_and_nothing_else(open_page: Open) -> None:
    page = open_page(
        data="file", state={"problem": "linear", "loss": "mse", "data": {"source": "file", "x": "", "y": ""}}
    )
    page.on("dialog", lambda dialog: page.trouble.append("a dialog"))
    settle(page)
    assert EVIL in page.get_by_label("x", exact=True).locator("option").all_inner_texts()
    assert page.locator("img").count() == 0
    page.get_by_label("x", exact=True).select_option("other")
    settle(page)


# ---- what the page keeps ---------------------------------------------------------------------------------------------


def test_the_address_brings_the_state_back(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    page.click("#map", position={"x": 150, "y": 150})
    page.get_by_label("Heights").select_option("log")
    page.wait_for_function("() => document.querySelector('.ending').textContent")
    state = state_of(page)
    assert state["scale"] == "log"
    other = settle(open_page(state=state))
    assert state_of(other) == state
    assert other.get_by_label("Heights").input_value() == "log"
    assert other.inner_text("#title") == page.inner_text("#title")


def test_an_address_that_was_edited_badly_is_refused_in_a_sentence(open_page: Open) -> None:
    page = open_page(state={"loss": "msee"})
    page.wait_for_function("() => document.querySelector('#status').className === 'refused'")
    assert "Unknown loss 'msee'" in page.inner_text("#status")


def test_an_address_that_is_no_json_starts_afresh(open_page: Open) -> None:
    page = settle(open_page(state="{nonsense"))
    assert page.inner_text("#status")


def test_parts_are_hidden_for_a_lesson(open_page: Open) -> None:
    page = settle(open_page(hide="data,loss", state={"loss": "bce"}))
    page.wait_for_function("() => document.querySelector('#title').textContent")
    assert page.locator("[data-part='data']").is_hidden()
    assert page.locator("[data-part='map']").is_visible()


def test_two_tabs_are_two_pages(open_page: Open) -> None:
    one = settle(open_page(state={"loss": "bce"}))
    two = settle(open_page(state={"problem": "linear", "loss": "huber"}))
    assert one.inner_text("#title").startswith("bce")
    assert two.inner_text("#title").startswith("huber")


def test_npz_loads_in_python(open_page: Open, tmp_path: Path) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    with page.expect_download() as found:
        page.click("#npz")
    found.value.save_as(tmp_path / "surface.npz")
    surface = landscape.Surface.load(tmp_path / "surface.npz")
    true = study.study("bce", problem="binary", samples=100, seed=0).grid((-6, 6, 256), (-6, 6, 256))
    assert torch.equal(surface.values, true.values)


def test_png_is_a_picture(open_page: Open, tmp_path: Path) -> None:
    from PIL import Image

    page = settle(open_page())
    with page.expect_download() as found:
        page.click("#png")
    found.value.save_as(tmp_path / "surface.png")
    picture = np.asarray(Image.open(tmp_path / "surface.png").convert("RGB").resize((80, 60)))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_the_snippet_gives_the_same_numbers(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6], "starts": [[-3, 3]]}))
    page.click("#share")
    page.wait_for_function("() => document.querySelector('#snippet').textContent")
    names: dict[str, Any] = {}
    exec(page.inner_text("#snippet"), names)
    assert number(readings(page)["minimum"]) == pytest.approx(names["surface"].minima()[0]["loss"], rel=1e-3)
    assert names["paths"].points.shape == (3, 1, 301, 2)


# ---- other browsers, other screens -----------------------------------------------------------------------------------


NO_WEBGL = """HTMLCanvasElement.prototype.getContext = ((old) => function (kind, ...rest) {
    return kind === "webgl2" ? null : old.call(this, kind, ...rest);
})(HTMLCanvasElement.prototype.getContext);"""


def test_without_webgl_the_map_shows_the_surface(open_page: Open) -> None:
    page = settle(open_page(before=NO_WEBGL))
    assert coloured(page, "map") > 30_000
    assert 0 < coloured(page, "scene-over") < 20_000  # the sentence


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_no_screen_scrolls_sideways(open_page: Open, width: int, height: int) -> None:
    page = settle(open_page(width, height))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    if width == 1440:
        assert page.evaluate("() => document.documentElement.scrollHeight") <= height


def test_light_and_dark(open_page: Open) -> None:
    page = settle(open_page(scheme="dark"))
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != dark


def test_a_canvas_is_told_in_words(open_page: Open) -> None:
    page = settle(open_page())
    words = page.get_attribute("#scene", "aria-label")
    assert "mse through sigmoid" in words
    assert "Lowest here: w" in words


def test_hovering_reads_the_loss(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    page.hover("#map", position={"x": 150, "y": 150})
    words = page.inner_text("#hover").replace("−", "-")
    w, b, loss = (float(value) for value in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", words))
    field = study.study("bce", problem="binary", samples=100, seed=0).grid((-6, 6, 4), (-6, 6, 4)).field
    assert field is not None
    assert loss == pytest.approx(float(field.at(torch.tensor([[w, b]]).double())[0, 0]), rel=2e-3)


def test_a_server_that_stopped_and_came_back(open_page: Open, serving: Serving) -> None:
    page = settle(open_page())
    serving.stop()
    try:
        page.get_by_label("Loss", exact=True).select_option("bce")
        page.wait_for_function("() => document.querySelector('#status').className === 'refused'")
        assert "Start edunn play again" in page.inner_text("#status")
    finally:
        serving.start()
    page.get_by_label("Loss", exact=True).select_option("hinge")
    page.wait_for_function("() => document.querySelector('#title').textContent.startsWith('hinge')")


def test_layers_over_the_map(open_page: Open) -> None:
    page = settle(open_page(state={"loss": "bce", "w": [-6, 6], "b": [-6, 6]}))
    before = page.evaluate("() => document.querySelector('#map').toDataURL()")
    for layer in ("slopes", "basins"):
        page.get_by_label("Show").select_option(layer)
        page.wait_for_timeout(100)
        settle(page)
        after = page.evaluate("() => document.querySelector('#map').toDataURL()")
        assert after != before
        before = after


def test_another_loss_beside_it_in_the_same_window(open_page: Open) -> None:
    page = settle(open_page(state={"w": [-6, 6], "b": [-6, 6], "starts": [[-3, 3]]}))
    assert page.locator("#second").is_hidden()
    page.get_by_label("Beside it").select_option("bce")
    page.wait_for_timeout(100)
    settle(page)
    assert page.inner_text("#secondTitle").startswith("bce")
    assert coloured(page, "second") > 10_000
