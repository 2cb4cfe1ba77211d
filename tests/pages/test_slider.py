"""The before/after slider in a real browser."""

from __future__ import annotations

import numpy as np
import pytest

from browser import PHONE, open_page, resize
from mindrestore.images.write import write_image
from mindrestore.pages.render import Layer, environment

pytest.importorskip("selenium", reason="selenium is absent; pip install mindrestore[test]")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a page with one slider of three layers: black, white and grey pictures of 64x48."""
    folder = tmp_path_factory.mktemp("page")
    for name, value in (("black", 0), ("white", 255), ("grey", 128)):
        write_image(folder / f'{name} #1 "&".png', np.full((48, 64, 3), value, np.uint8))
    layers = [Layer(name, f'{name} #1 "&".png') for name in ("black", "white", "grey")]
    text = '{% extends "page.html" %}{% block body %}{{ parts.slider("s", layers, (0, 1), (64, 48)) }}{% endblock %}'
    page = environment().from_string(text).render(title="slider", layers=layers)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder / "index.html"


def state(driver) -> list[float]:
    return driver.execute_script("const s = document.querySelector('before-after'); return [s.position, s.zoom]")


def transforms(driver) -> list[str]:
    return [
        image.value_of_css_property("transform") for image in driver.find_elements(By.CSS_SELECTOR, ".ba-layer img")
    ]


def handle(driver):
    return driver.find_element(By.CSS_SELECTOR, "[role=slider]")


def test_pictures_are_loaded_and_cut_at_the_divider(browser, page):
    open_page(browser, page)
    widths = browser.execute_script("return [...document.images].map(i => [i.complete, i.naturalWidth])")
    assert widths == [[True, 64], [True, 64]]
    clip = browser.find_element(By.CSS_SELECTOR, ".ba-layer-0").value_of_css_property("clip-path")
    assert clip.startswith("inset(0px calc(50%") or "50%" in clip
    assert handle(browser).get_attribute("aria-label") == "Divider between black and white"
    assert handle(browser).get_attribute("aria-valuetext") == "50% black, 50% white"


def test_keys_move_the_divider(browser, page):
    open_page(browser, page)
    browser.switch_to.active_element.send_keys(Keys.TAB, Keys.TAB)  # both selects come first
    while browser.switch_to.active_element.get_attribute("role") != "slider":
        browser.switch_to.active_element.send_keys(Keys.TAB)
    keys = browser.switch_to.active_element
    expected = {Keys.ARROW_LEFT: 49, Keys.PAGE_UP: 59, Keys.ARROW_RIGHT: 60, Keys.HOME: 0, Keys.END: 100}
    for key, position in expected.items():
        keys.send_keys(key)
        assert state(browser) == [position, 1]
        assert keys.get_attribute("aria-valuenow") == str(position)
    grip = browser.find_element(By.CSS_SELECTOR, ".ba-grip")
    assert grip.value_of_css_property("outline-style") == "solid"  # the focus is visible


def test_mouse_moves_the_divider_and_then_the_zoomed_picture(browser, page):
    open_page(browser, page)
    stage = browser.find_element(By.CSS_SELECTOR, ".ba-stage")
    width = stage.size["width"]
    ActionChains(browser).drag_and_drop_by_offset(handle(browser), -width // 4, 0).perform()
    assert state(browser)[0] == pytest.approx(25, abs=1)
    zoom_in = browser.find_element(By.CSS_SELECTOR, "[aria-label='Zoom in']")
    zoom_in.click()
    zoom_in.click()
    position, zoom = state(browser)
    assert zoom == pytest.approx(2.25)
    before = transforms(browser)
    assert before[0] == before[1]
    start = ActionChains(browser).move_to_element_with_offset(stage, width // 4, 20)
    start.click_and_hold().move_by_offset(40, 10).release().perform()
    assert state(browser) == [position, zoom]  # the divider stays where it is
    after = transforms(browser)
    assert after[0] == after[1] != before[0]  # both halves go together
    shift = [float(new) - float(old) for new, old in zip(_numbers(after[0])[4:], _numbers(before[0])[4:])]
    assert shift == pytest.approx([40, 10], abs=1)
    browser.find_element(By.CSS_SELECTOR, "[aria-label^='Whole picture']").click()
    assert state(browser) == [50, 1]


def test_keys_zoom_and_move(browser, page):
    open_page(browser, page)
    keys = handle(browser)
    keys.send_keys("+", "+")
    middle = _numbers(transforms(browser)[0])
    keys.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT)
    moved = _numbers(transforms(browser)[0])
    stage = browser.find_element(By.CSS_SELECTOR, ".ba-stage").rect["width"]
    assert moved[4] - middle[4] == pytest.approx(-0.1 * stage, abs=1)
    keys.send_keys("-", "-")
    assert state(browser) == [50, 1]
    assert _numbers(transforms(browser)[1]) == [1, 0, 0, 1, 0, 0]


def test_the_reader_chooses_the_layers(browser, page):
    from selenium.webdriver.support.select import Select

    open_page(browser, page)
    left, right = (Select(element) for element in browser.find_elements(By.TAG_NAME, "select"))
    assert [option.text for option in left.options] == ["black", "white", "grey"]
    assert (left.first_selected_option.text, right.first_selected_option.text) == ("black", "white")
    right.select_by_visible_text("grey")
    shown = browser.execute_script("return [...document.images].map(i => [decodeURI(i.src).split('/').pop(), i.alt])")
    assert [alt for _, alt in shown] == ["black", "grey"]
    assert shown[1][0].startswith("grey")
    assert handle(browser).get_attribute("aria-label") == "Divider between black and grey"


def test_it_fits_a_phone_and_a_finger_moves_it(browser, page):
    resize(browser, PHONE)
    open_page(browser, page)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    box = browser.find_element(By.CSS_SELECTOR, ".ba-stage").rect
    points = [{"x": box["x"] + share * box["width"], "y": box["y"] + 30} for share in (0.3, 0.4, 0.6, 0.8)]
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        for kind, spots in [
            ("touchStart", points[:1]),
            *(("touchMove", [spot]) for spot in points[1:]),
            ("touchEnd", []),
        ]:
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})
        assert state(browser)[0] == pytest.approx(80, abs=2)
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_the_wheel_scrolls_and_zooms_with_ctrl_about_the_pointer(browser, page):
    open_page(browser, page)
    script = (
        "const stage = document.querySelector('.ba-stage'), box = stage.getBoundingClientRect();"
        "const place = {clientX: box.left + box.width / 4, clientY: box.top + box.height / 2, deltaY: -200,"
        " ctrlKey: arguments[0], cancelable: true};"
        "return [!stage.dispatchEvent(new WheelEvent('wheel', place)), box.width]"
    )
    taken, width = browser.execute_script(script, False)
    assert (taken, state(browser)) == (False, [50, 1])  # the page scrolls
    assert browser.execute_script(script, True)[0]
    zoom = state(browser)[1]
    assert zoom == pytest.approx(np.e)
    left = _numbers(transforms(browser)[0])[4]
    assert left + zoom * width / 4 == pytest.approx(width / 4, abs=0.5)  # what was under the pointer still is


def test_two_fingers_zoom(browser, page):
    resize(browser, PHONE)
    open_page(browser, page)
    box = browser.find_element(By.CSS_SELECTOR, ".ba-stage").rect
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    apart = [
        [{"x": middle[0] + side * reach, "y": middle[1], "id": side} for side in (-1, 1)] for reach in (30, 60, 90)
    ]
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    try:
        for kind, spots in (
            ("touchStart", apart[0]),
            ("touchMove", apart[1]),
            ("touchMove", apart[2]),
            ("touchEnd", []),
        ):
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})
        assert state(browser) == [50, pytest.approx(3, abs=0.3)]
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def _numbers(matrix: str) -> list[float]:
    """Read `matrix(a, b, c, d, x, y)`."""
    return [float(text) for text in matrix.removeprefix("matrix(").removesuffix(")").split(",")]
