"""Reports and comparisons in a real browser, opened from disk: sorting, sliders, choices, keys, a phone."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from parsed import NAMES

from browser import PHONE, open_page, resize
from mindrestore.inference.files import restore_files
from mindrestore.pages.comparison import write_comparison
from mindrestore.pages.restored import write_restored_page

pytest.importorskip("selenium", reason="selenium is absent; pip install mindrestore[test]")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait


@pytest.fixture(scope="module")
def pages(tmp_path_factory, write_report, run, pairs) -> dict[str, Path]:
    """Return a report, a comparison and the page of a restoration."""
    root = tmp_path_factory.mktemp("pages #1")
    write_report(root / "night" / "report", 1.6, run)
    write_report(root / "day" / "report", 1.2)
    summary = restore_files(lambda photo: 255 - photo, [pairs[0].input, pairs[3].input], root / "clean", progress=False)
    return {
        "report": root / "night" / "report" / "index.html",
        "comparison": write_comparison([root / "night", root / "day"], root / "comparison"),
        "restoration": write_restored_page(summary, root / "clean" / "report"),
    }


def scores(page: Path) -> list[dict[str, str]]:
    with (page.parent / "scores.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def table(driver):
    return driver.find_element(By.CSS_SELECTOR, "table[data-sortable]")


def first_column(driver) -> list[str]:
    return [cell.text for cell in table(driver).find_elements(By.CSS_SELECTOR, "tbody td:first-child")]


def heading(driver, text: str):
    return next(each for each in table(driver).find_elements(By.CSS_SELECTOR, ".sort") if each.text.startswith(text))


def shown(driver, place: int = 0) -> list[tuple[str, int]]:
    """Return label and width of the two pictures of a slider, once both are loaded."""
    script = (
        "const s = document.querySelectorAll('before-after')[arguments[0]]; s.scrollIntoView();"
        "return [...s.querySelectorAll('img')].map(i => [i.alt, i.complete ? i.naturalWidth : 0])"
    )

    def loaded(_):
        found = driver.execute_script(script, place)
        return found if all(width for _, width in found) else False

    return WebDriverWait(driver, 10).until(loaded)


def test_every_column_sorts_by_mouse_and_keys(browser, pages):
    open_page(browser, pages["report"])
    rows = scores(pages["report"])
    assert first_column(browser) == list(NAMES)
    for title, key in (("PSNR restored", "psnr"), ("SSIM input", "ssim_input"), ("seconds", "seconds")):
        rising, falling = (
            [row["image"] for row in sorted(rows, key=lambda row: float(row[key]), reverse=turned)]
            for turned in (False, True)
        )
        button = heading(browser, title)
        button.click()
        assert first_column(browser) == rising
        button.send_keys(Keys.ENTER)
        assert first_column(browser) == falling
        assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
        button.send_keys(Keys.SPACE)
        assert first_column(browser) == rising
        assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    heading(browser, "image").click()
    assert first_column(browser) == ["1.png", "2.png", "10.png", NAMES[3]]  # numbers inside names count as numbers
    assert len(table(browser).find_elements(By.CSS_SELECTOR, "[aria-sort]")) == 1
    foot = table(browser).find_element(By.CSS_SELECTOR, "tfoot td")
    assert foot.text == "mean of 4"  # the means stay below


@pytest.mark.parametrize("name", ["report", "comparison", "restoration"])
def test_every_image_has_a_slider_whose_pictures_load_from_disk(browser, pages, name):
    open_page(browser, pages[name])
    count = {"report": 4, "comparison": 4, "restoration": 2}[name]
    sliders = browser.find_elements(By.TAG_NAME, "before-after")
    assert len(sliders) == count
    labels = {"report": ["input", "restored"], "comparison": ["night", "day"], "restoration": ["before", "restored"]}[
        name
    ]
    for place in range(count):
        assert shown(browser, place) == [[label, 40] for label in labels]
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in loaded if not address.startswith("file://")] == []
    handle = sliders[1].find_element(By.CSS_SELECTOR, "[role=slider]")
    handle.send_keys(Keys.ARROW_LEFT, Keys.PAGE_DOWN)
    positions = browser.execute_script("return [...document.querySelectorAll('before-after')].map(s => s.position)")
    assert positions == [39 if place == 1 else 50 for place in range(count)]


def test_two_of_all_layers_are_chosen_for_one_image_and_for_all(browser, pages):
    open_page(browser, pages["comparison"])
    select = Select(browser.find_element(By.CSS_SELECTOR, "#set-1-image-2 select[data-side='1']"))
    assert [option.text for option in select.options] == [
        "input",
        "night",
        "day",
        "ground truth",
        "error of night",
        "error of day",
    ]
    select.select_by_visible_text("ground truth")
    assert [label for label, _ in shown(browser, 1)] == ["night", "ground truth"]
    assert [label for label, _ in shown(browser, 0)] == ["night", "day"]
    every = Select(browser.find_element(By.CSS_SELECTOR, "select[data-every-side='0']"))
    every.select_by_visible_text("error of day")
    assert [shown(browser, place)[0][0] for place in range(4)] == ["error of day"] * 4
    assert [shown(browser, place)[1][0] for place in range(4)] == ["day", "ground truth", "day", "day"]
    assert (
        Select(browser.find_element(By.CSS_SELECTOR, "#set-1-image-3 select")).first_selected_option.text
        == "error of day"
    )


@pytest.mark.parametrize("name", ["report", "comparison", "restoration"])
def test_a_phone_shows_it_without_scrolling_sideways(browser, pages, name):
    resize(browser, PHONE)
    open_page(browser, pages[name])
    assert browser.execute_script("return document.documentElement.scrollWidth") == PHONE[0]
    for button in browser.find_elements(By.CSS_SELECTOR, ".ba-button")[:3]:
        assert min(button.size.values()) >= 36  # a finger meets it


def test_everything_is_reached_by_keys_and_named(browser, pages):
    open_page(browser, pages["report"])
    reached = []
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        name = active.accessible_name
        assert name, active.get_attribute("outerHTML")[:200]
        assert active.value_of_css_property("outline-style") != "none" or active.get_attribute("role") == "slider"
        reached.append((active.aria_role, name))
        if active.get_attribute("role") == "slider":
            break
    roles = [role for role, _ in reached]
    assert roles[-1] == "slider"
    assert reached[-1][1] == "Divider between input and restored"
    switch, *headings = [name for role, name in reached if role == "button"]
    assert switch == "中文"
    assert headings[:5] == ["image", "size", "PSNR input", "PSNR restored", "PSNR gain"]
    assert len(headings) == len(browser.find_elements(By.CSS_SELECTOR, "th")) - 5  # all but those of the means
    assert ("link", "1.png") in reached
    assert browser.find_element(By.CSS_SELECTOR, "svg").accessible_name.startswith("PSNR: number of images")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_can_be_read(browser, pages, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    open_page(browser, pages["report"])
    script = (
        "const rgb = (e, p) => getComputedStyle(e)[p].match(/[0-9.]+/g).slice(0, 3).map(Number);"
        "return [rgb(document.body, 'color'), rgb(document.body, 'backgroundColor'),"
        " rgb(document.querySelector('.soft'), 'color'), rgb(document.querySelector('a'), 'color')]"
    )
    ink, ground, soft, link = browser.execute_script(script)
    assert (luminance(ground) > 0.5) == (scheme == "light")
    for colour in (ink, soft, link):
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def luminance(colour: list[float]) -> float:
    """Return the relative luminance of an sRGB colour as WCAG defines it."""
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_switch_says_everything_in_chinese_and_back(browser, pages):
    open_page(browser, pages["report"])
    english = browser.find_element(By.TAG_NAME, "body").text
    switch = browser.find_element(By.ID, "language")
    switch.click()
    assert browser.execute_script("return document.documentElement.lang") == "zh"
    assert browser.title.startswith("toy")  # a name
    chinese = browser.find_element(By.TAG_NAME, "body").text
    assert heading(browser, "PSNR 复原后").get_attribute("title") == "按此列排序"
    assert "最差" in chinese
    assert "评估协议\uff1argb" in chinese
    select = Select(browser.find_element(By.CSS_SELECTOR, "#image-1 select[data-side='1']"))
    select.select_by_visible_text("误差图")
    assert shown(browser, place_of(browser, "image-1"))[1][0] == "误差图"
    untranslated = """return [...document.querySelectorAll('[data-say]')].filter((e) => {
        const [en, zh] = ['en', 'zh'].map((language) => WORDS[language][e.dataset.say]);
        return en !== zh && e.textContent === en;
    }).map((e) => e.dataset.say)"""
    assert browser.execute_script(untranslated) == []
    switch.click()
    assert shown(browser, place_of(browser, "image-1"))[1][0] == "error map"
    select.select_by_visible_text("restored")
    assert browser.find_element(By.TAG_NAME, "body").text == english


def place_of(browser, name):
    ids = browser.execute_script("return [...document.querySelectorAll('before-after')].map((s) => s.id)")
    return ids.index(f"{name}-slider")
