"""The page as a gallery, in a real browser, with a stand-in for the networks: several pictures, chains, reloads."""

from __future__ import annotations

import http.client
import http.server
import io
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from browser import PHONE, resize
from mindrestore.serve.guard import HostNames
from mindrestore.serve.limits import Limits
from served import encode, finish_work, picture, running, wait_until

WIDE = (1400, 900)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    limits = Limits(max_pixels=10_000, max_waiting=2)
    with running(tmp_path_factory.mktemp("gallery"), limits, HostNames("127.0.0.1")) as server:
        yield server


@pytest.fixture
def server(gallery):
    yield gallery
    finish_work(gallery)


@pytest.fixture
def page(server, browser):
    """Return the page with an empty store."""
    opened = Page(browser, f"http://127.0.0.1:{server.port}/")
    opened.open()
    browser.execute_script("localStorage.clear()")
    opened.open()
    yield opened
    browser.execute_script("localStorage.clear()")


@pytest.fixture
def photos(tmp_path):
    """Return the paths of three pictures."""
    paths = [tmp_path / name for name in ("street in haze.png", "b.png", "c.png")]
    for path in paths:
        path.write_bytes(encode(picture(60, 80)))
    return paths


class Page:
    """Use the page as a person does."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def open(self):
        self.browser.get(self.address)
        wait_until(lambda: self.all("#steps .network"))

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def at(self, name):
        return self.browser.find_element("id", name)

    def choose(self, *paths):
        self.at("image").send_keys("\n".join(map(str, paths)))

    def start(self, *paths):
        self.choose(*paths)
        self.at("start").click()

    def states(self):
        return self.browser.execute_script(
            "return [...document.querySelectorAll('.entry')].map((e) => e.dataset.state)"
        )

    def texts(self, selector):
        return [element.text for element in self.all(selector)]

    def wait_for(self, *states):
        wait_until(lambda: self.states() == list(states))

    def buttons(self, place):
        """Return the buttons of a card that are shown, by their words."""
        shown = self.all(".entry")[place].find_elements("css selector", ".row > *")
        return {each.text: each for each in shown if each.text}

    def button(self, place, words):
        return self.buttons(place)[words]


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_several_pictures_with_progress_cancel_and_another_try(server, page, photos, size):
    resize(page.browser, size)
    server.work.gate.clear()
    page.choose(*photos)
    assert page.at("chosen").text.startswith("3 chosen (")
    page.at("start").click()
    page.wait_for("working", "waiting", "waiting")
    wait_until(lambda: page.texts(".told")[0].startswith("restoring, 50%"))
    assert page.texts(".told")[0].endswith(" s left")
    assert [text[:17] for text in page.texts(".told")[1:]] == ["waiting, number 1", "waiting, number 2"]
    assert page.texts(".name") == ["street in haze.png", "b.png", "c.png"]
    page.button(1, "Cancel").click()
    page.wait_for("working", "cancelled", "waiting")
    wait_until(lambda: page.texts(".told")[2].startswith("waiting, number 1"))
    server.work.gate.set()
    page.wait_for("done", "cancelled", "done")
    page.button(1, "Try again").click()
    page.wait_for("done", "done", "done")
    assert page.at("summary").text == "3 of 3 done"
    assert all(text.startswith("done, kept until ") for text in page.texts(".told"))
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    seen = "return [...document.querySelectorAll('.thumbnail img')].map((i) => i.naturalWidth)"
    wait_until(lambda: page.browser.execute_script(seen) == [80, 80, 80])


def test_results_survive_another_picture_and_a_reload(server, page, photos):
    page.start(photos[0])
    page.wait_for("done")
    page.start(photos[1])
    page.wait_for("done", "done")
    page.open()
    page.wait_for("done", "done")
    assert page.texts(".name") == ["street in haze.png", "b.png"]
    page.button(0, "Remove").click()
    page.wait_for("done")
    page.open()
    page.wait_for("done")
    assert page.texts(".name") == ["b.png"]


def test_a_long_name_is_whole_before_and_after_a_reload(server, page, photos):
    """The server shortens names to 80 characters and puts _ in the place of some."""
    name = f"{'holiday in the mountains, ' * 5}morning & haze.png"
    photos[0].rename(photos[0].with_name(name))
    page.start(photos[0].with_name(name))
    page.wait_for("done")
    assert page.texts(".name") == [name]
    page.open()
    page.wait_for("done")
    assert page.texts(".name") == [name]
    page.all(".thumbnail")[0].click()
    assert page.at("viewer-title").text == name
    page.browser.execute_script("localStorage.setItem('mindrestore jobs /', '[\"of an older page\"]')")
    page.open()
    page.start(photos[1])
    page.wait_for("done")


def test_another_try_is_offered_where_it_may_help_and_works_after_a_reload(server, page, tmp_path, photos):
    raw = b"FUJIFILMCCD-RAW " + bytes(60)  # named as a picture, or the page leaves it out by itself
    files = {"empty.png": b"", "raw.png": raw, "no picture.png": b"nonsense", "dot.png": encode(picture(1, 1))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    server.work.short = True
    page.start(*(tmp_path / name for name in files), photos[0])
    page.wait_for(*["failed"] * 5)
    server.work.short = False
    told = page.texts(".told")
    assert [sorted(page.buttons(place)) for place in range(4)] == [["Remove"]] * 4, told
    assert told[0] == "failed: the file is empty (0 bytes); choose it again"
    assert told[4] == "failed: there is not enough memory; close other programs"
    assert sorted(page.buttons(4)) == ["Remove", "Try again"]
    page.open()
    page.wait_for("failed", "failed")  # the server has two of them
    assert [sorted(page.buttons(place)) for place in range(2)] == [["Remove"], ["Remove", "Try again"]]
    page.button(1, "Try again").click()
    page.wait_for("failed", "done")
    page.browser.get_log("browser")  # the browser's own notes about 415 and 422


def test_two_tabs_keep_their_results_in_one_place(server, page, photos):
    other = server.finished(server.send("/api/jobs", photos[2].read_bytes(), "other.png").told["id"])["id"]
    page.start(photos[0])
    page.wait_for("done")
    add = """const ids = JSON.parse(localStorage.getItem(arguments[0]));
        localStorage.setItem(arguments[0], JSON.stringify([...ids, [arguments[1], "other.png"]]));"""
    page.browser.execute_script(add, "mindrestore jobs /", other)  # as another tab does
    page.start(photos[1])
    page.wait_for("done", "done")
    page.button(0, "Remove").click()
    page.wait_for("done")
    page.open()
    page.wait_for("done", "done")
    assert sorted(page.texts(".name")) == ["b.png", "other.png"]


def test_a_job_in_work_survives_a_reload(server, page, photos):
    server.work.gate.clear()
    page.start(*photos[:2])
    page.wait_for("working", "waiting")
    page.open()
    page.wait_for("working", "waiting")
    server.work.gate.set()
    page.wait_for("done", "done")


def test_a_chain_of_tasks(server, page, photos):
    assert page.texts("#steps .network option:checked") == ["Tiny, ships with MindRestore"]
    page.at("also").click()
    assert page.texts("#steps .task option:checked") == ["haze", "noise"]
    assert page.texts("#steps .network option:checked") == ["Tiny, ships with MindRestore", "Tiny, trained in mine"]
    page.start(photos[0])
    page.wait_for("done")
    ((token, _),) = page.browser.execute_script("return JSON.parse(localStorage.getItem('mindrestore jobs /'))")
    assert server.state(token)["networks"] == ["dehaze/tiny", "denoise/tiny"]
    result = server.ask("GET", f"/api/jobs/{token}/result").body
    np.testing.assert_array_equal(Image.open(io.BytesIO(result)), picture(60, 80))  # the negative of the negative
    page.all(".thumbnail")[0].click()
    assert page.at("facts").text.startswith("Removed: haze → noise; 80 \u00d7 60 pixels, 8 bits, ")
    page.all(".drop-step")[1].click()
    assert page.texts("#steps .task option:checked") == ["haze"]


def test_all_results_in_one_file(server, page, photos, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.png").write_bytes(photos[1].read_bytes())
    page.start(photos[1], photos[2], other / "b.png")
    page.wait_for("done", "done", "done")
    address = page.at("download-all").get_attribute("href")
    answer = server.ask("GET", address[len(page.address) - 1 :])
    assert answer.headers["Content-Disposition"] == 'attachment; filename="restored.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["b_restored.png", "c_restored.png", "b_restored (2).png"]
        for name in archive.namelist():
            np.testing.assert_array_equal(Image.open(io.BytesIO(archive.read(name))), 255 - picture(60, 80))


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_the_comparison_moves_by_single_percents_and_shows_both_names(page, photos, size):
    from selenium.webdriver.common.keys import Keys

    resize(page.browser, size)
    page.start(*photos[:2])
    page.wait_for("done", "done")
    page.all(".thumbnail")[0].click()
    handle = page.all("[role=slider]")[0]
    places = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.PAGE_UP):
        handle.send_keys(key)
        places.append(int(handle.get_attribute("aria-valuenow")))
    assert places == [51, 52, 51, 61]
    assert handle.get_attribute("aria-valuetext") == "61% before, 39% restored"
    assert page.texts(".ba-label") == ["before", "restored"]
    clipped = "return [...document.querySelectorAll('.ba-label')].some((l) => l.scrollWidth > l.clientWidth)"
    assert page.browser.execute_script(clipped) is False
    slider = "document.querySelector('before-after')"
    handle.send_keys("+")
    assert page.browser.execute_script(f"return {slider}.zoom") == 1.5
    before = page.browser.execute_script(f"return {slider}.view.x")
    handle.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT)
    assert page.browser.execute_script(f"return {slider}.view.x") == before - 10
    assert page.at("viewer-title").text == "street in haze.png"
    page.at("next").click()
    assert page.at("viewer-title").text == "b.png"
    page.at("close").click()
    assert not page.at("viewer").is_displayed()


def test_more_pictures_than_the_queue_takes_are_sent_one_by_one(server, page, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        path.write_bytes(encode(picture(6, 8)))
    server.work.gate.clear()
    page.start(*paths)
    page.wait_for("working", "waiting", "waiting", "unsent", "unsent")
    assert page.texts(".told")[4] == "waiting in this browser"
    server.work.gate.set()
    page.wait_for(*["done"] * 5)
    page.browser.get_log("browser")  # the browser's own notes about the answers 503


def test_what_fails_says_why_and_the_others_go_on(page, tmp_path, photos):
    broken, dot, note, long = (tmp_path / name for name in ("broken.png", "dot.png", "note.txt", "wide.png"))
    broken.write_bytes(b"nonsense")
    dot.write_bytes(encode(picture(1, 1)))
    note.write_text("x")
    long.write_bytes(encode(picture(101, 100)))
    page.choose(broken, dot, note, long, photos[1])
    assert page.at("problem").text == "Files left out because they are not pictures: 1."
    page.at("start").click()
    page.wait_for("failed", "failed", "failed", "done")
    told = page.texts(".told")
    assert told[0].startswith("failed: not an image that can be read; send PNG")
    assert told[1] == "failed: too small; send a larger one"
    assert told[2].startswith("failed: 100x101 is 10,100 pixels, more than the limit of 10,000")
    assert page.at("summary").text == "1 of 4 done; 3 failed"
    messages = [entry["message"] for entry in page.browser.get_log("browser")]
    assert len(messages) == 2  # the browser's own notes about 415 and 413


def test_results_expire_and_the_page_says_so(browser, tmp_path, photos):
    with running(tmp_path, Limits(keep_seconds=2), HostNames("127.0.0.1")) as server:
        page = Page(browser, f"http://127.0.0.1:{server.port}/")
        page.open()
        page.start(photos[0])
        page.wait_for("done")
        page.wait_for("expired")
        assert page.texts(".told") == ["expired: the server has removed it"]
        page.button(0, "Try again").click()  # this page still has the file
        page.wait_for("done")
        page.browser.get("about:blank")
        wait_until(lambda: list(server.folder.iterdir()) == [])
        page.open()
        wait_until(lambda: page.at("summary").text == "Results expired since your last visit: 1.")


DROPPED = """
const transfer = new DataTransfer(), data = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
for (const name of arguments[1]) transfer.items.add(new File([data], name, { type: "image/png" }));
"""


def test_dropped_pasted_and_a_folder(page, photos, tmp_path):
    import base64

    data = base64.b64encode(photos[0].read_bytes()).decode()
    drop = "window.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));"
    page.browser.execute_script(DROPPED + drop, data, ["x.png", "y.png"])
    wait_until(lambda: page.at("chosen").text.startswith("2 chosen"))
    paste = "window.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer }));"
    page.browser.execute_script(DROPPED + paste, data, ["pasted.png"])
    wait_until(lambda: page.at("chosen").text.startswith("1 chosen"))
    page.at("start").click()
    page.wait_for("done")
    assert page.texts(".name") == ["pasted.png"]
    folder = tmp_path / "holiday"
    (folder / "day 2").mkdir(parents=True)
    for path in (folder / "a.png", folder / "day 2" / "b.png"):
        path.write_bytes(photos[0].read_bytes())
    (folder / "notes.txt").write_text("x")
    page.browser.execute_script("document.getElementById('files').hidden = false")
    page.at("files").send_keys(str(folder))
    wait_until(lambda: page.at("chosen").text.startswith("2 chosen"))
    assert page.at("problem").text == "Files left out because they are not pictures: 1."


def test_chinese_with_the_switch_and_it_stays(page, photos):
    page.start(photos[0])
    page.wait_for("done")
    page.all(".thumbnail")[0].click()
    page.at("language").click()
    assert page.at("start").text == "开始复原"
    assert page.texts(".ba-label") == ["复原前", "复原后"]
    assert page.texts(".told")[0].startswith("完成\uff0c保留至 ")
    assert page.texts("#steps .task option:checked") == ["雾"]
    assert page.browser.execute_script("return document.documentElement.lang") == "zh"
    page.open()
    assert page.at("start").text == "开始复原"
    page.at("language").click()
    assert page.at("start").text == "Restore"


def test_every_control_has_a_name_and_a_visible_focus(page, photos):
    page.start(photos[0])
    page.wait_for("done")
    nameless = """const controls = document.querySelectorAll('button, a, input, select, progress, [role=slider]');
        return [...controls].filter((e) => {
        const label = e.labels && e.labels.length && e.labels[0].textContent.trim();
        return !e.closest('[hidden]') && !(label || e.textContent.trim() || e.getAttribute('aria-label'));
    }).map((e) => e.outerHTML)"""
    assert page.browser.execute_script(nameless) == []
    live = "return [...document.querySelectorAll('[role=status], [role=alert]')].map((e) => e.id)"
    assert page.browser.execute_script(live) == ["chosen", "problem", "summary"]


class Proxy(http.server.BaseHTTPRequestHandler):
    """Show the server below /photos/, as nginx's `location /photos/ { proxy_pass http://127.0.0.1:8765/; }` does."""

    upstream = 0

    def handle_one(self):
        if not self.path.startswith("/photos/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream)
        connection.request(self.command, self.path[len("/photos") :], body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = do_DELETE = handle_one

    def log_message(self, *args):
        """Say nothing."""


def test_the_page_works_below_a_path_of_a_proxy(server, browser, photos):
    handler = type("Here", (Proxy,), {"upstream": server.port})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        page = Page(browser, f"http://127.0.0.1:{proxy.server_port}/photos/")
        page.open()
        page.start(*photos[:2])
        page.wait_for("done", "done")
        page.all(".thumbnail")[0].click()
        seen = "return [...document.querySelectorAll('before-after img')].map((i) => i.naturalWidth)"
        wait_until(lambda: page.browser.execute_script(seen) == [80, 80])
        assert page.at("download-all").get_attribute("href").startswith(f"{page.address}api/archive?id=")
        page.open()
        page.wait_for("done", "done")
        browser.execute_script("localStorage.clear()")
        browser.get("about:blank")
        proxy.shutdown()
