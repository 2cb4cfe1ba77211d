"""Take the screenshots of the documentation: the served page and all reports, wide and on a phone.

    python scripts/screenshots.py OUT [--run RUN_FOLDER] [--docs docs/images]

Needs Chromium with chromedriver and `pip install '.[test]'`. Everything that is shown is made here: scenes are
rendered, the included weights restore and are evaluated, and the recipe quickstart is trained for 200 steps unless
--run names a run folder; both networks are compared. OUT/PAGE_{1400,390}_{light,dark,zh}.png are pages to look at; zh
is Chinese, and the page of the training begins at its curves. With --docs, the upper parts of both widths go there side
by side as PAGE_{light,dark}.jpg, each below 150 kB.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import FLAGS, find_chromium, resize  # noqa: E402
from mindrestore.cli.main import main as mindrestore  # noqa: E402

SIZES = {1400: (1400, 900), 390: (390, 844)}  # the second is a phone
LONGEST = 6000  # pixels of a page that are taken
SHOWN = 1150  # of them in the documentation
MOST = 150_000  # bytes of a file in the documentation
PAGES = ("serve", "restored", "evaluation", "training", "comparison")
TOGETHER = 1250  # pixels of both widths beside each other


def make_pairs(folder: Path, count: int, size: str, seed: int) -> Path:
    """Render scenes with haze.

    Args:
        folder: Folder of the pairs.
        count: Number of scenes.
        size: As 480x360.
        seed: Seed.

    Returns:
        The folder.
    """
    if not (folder / "hazy").is_dir():
        words = ["--count", str(count), "--size", size, "--seed", str(seed)]
        run("data", "scenes", str(folder.with_name(f"{folder.name}_scenes")), *words)
        run("data", "synth", str(folder.with_name(f"{folder.name}_scenes") / "clear"), str(folder), "--seed", str(seed))
    return folder


def run(*words: str) -> None:
    """Run a command of the package; end with its code where it fails."""
    code = mindrestore(list(words))
    if code:
        sys.exit(code)


def train(out: Path) -> Path:
    """Train the recipe quickstart for a few minutes, and return the run folder."""
    make_pairs(out / "data" / "train", 40, "160x120", 1)
    make_pairs(out / "data" / "test", 6, "320x240", 2)
    steps = ["train.max_steps=200", "train.log_every=5", "train.val_every=50", "train.checkpoint_every=100"]
    run("train", "--recipe", "quickstart", f"data.root={out / 'data'}", *steps, "--run-dir", str(out / "quickstart"))
    return out / "quickstart"


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser."""
    from selenium import webdriver

    found = find_chromium()
    if found is None:
        sys.exit("error: there is no Chromium with chromedriver; on Debian: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in (*FLAGS, "--hide-scrollbars", "--accept-lang=en"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))
    try:
        yield driver
    finally:
        driver.quit()


def wait(condition: Callable[[], Any], seconds: float = 300) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("error: the page does not come to an end")
        time.sleep(0.1)


def take(driver: Any, out: Path, page: str, start: str = "") -> None:
    """Take an open page in both widths, light and dark, and in Chinese; from the element with the id `start` on."""
    driver.execute_script(
        "for (const part of document.querySelectorAll('.picture')) part.style.contentVisibility = 'visible';"
        "for (const image of document.images) image.loading = 'eager';"
    )
    for width, size in SIZES.items():
        resize(driver, size)
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            shoot(driver, out / f"{page}_{width}_{scheme}.png", start)
        driver.execute_script("document.getElementById('language').click()")
        shoot(driver, out / f"{page}_{width}_zh.png", start)
        driver.execute_script("document.getElementById('language').click()")


def shoot(driver: Any, path: Path, start: str) -> None:
    """Write a picture of the page, from an element on."""
    wait(
        lambda: driver.execute_script("return [...document.images].every((image) => image.hidden || image.complete)"),
        30,
    )
    width, height = driver.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    place = "return document.getElementById(arguments[0]).getBoundingClientRect().top + scrollY - 16"
    top = driver.execute_script(place, start) if start else 0
    clip = {"x": 0, "y": top, "width": width, "height": min(height - top, LONGEST), "scale": 1}
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(taken["data"]))


def serve_page(driver: Any, out: Path) -> None:
    """Restore three pictures on the served page, and compare one."""
    command = [sys.executable, "-m", "mindrestore", "serve", "--port", "0", "--device", "CPU"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            address = next(line.split()[2] for line in server.stdout if "until Ctrl-C" in line)
            driver.get(address)
            wait(lambda: driver.find_elements("class name", "network"))
            scenes = sorted((make_pairs(out / "data" / "photos", 2, "640x480", 5) / "hazy").iterdir())
            pictures = [ROOT / "samples" / "mountains.jpg", *scenes[:2]]
            driver.find_element("id", "image").send_keys("\n".join(map(str, pictures)))
            driver.find_element("id", "start").click()
            done = "return document.querySelectorAll('.entry[data-state=done]').length"
            wait(lambda: driver.execute_script(done) == len(pictures))
            driver.find_element("class name", "thumbnail").click()
            take(driver, out, "serve")
        finally:
            server.terminate()


def make_reports(out: Path, trained: Path) -> dict[str, Path]:
    """Restore, evaluate two networks and compare them; return the folder of each page."""
    pairs = make_pairs(out / "data" / "evaluated", 8, "480x360", 3)
    measured = ["--data", str(pairs), "--protocol", "rgb", "--out"]
    run("eval", "--model", "dehazeformer_t", "--weights", "default", *measured, str(out / "evaluation"))
    run("eval", "--weights", str(trained), *measured, str(out / "aecrnet_200_steps"))
    run("compare", str(out / "evaluation"), str(out / "aecrnet_200_steps"), "--out", str(out / "comparison"))
    photos = [str(path) for path in sorted((pairs / "hazy").iterdir())[:4]]
    (out / "photos").mkdir(exist_ok=True)
    for path in (*photos, ROOT / "samples" / "mountains.jpg"):
        shutil.copy(path, out / "photos")
    run("restore", str(out / "photos"), "--task", "dehaze", "--out", str(out / "restored"), "--overwrite")
    if not (trained / "report" / "index.html").is_file():
        run("eval", str(trained))
    return {
        "restored": out / "restored" / "report",
        "evaluation": out / "evaluation",
        "training": trained / "report",
        "comparison": out / "comparison",
    }


def report_page(driver: Any, folder: Path, out: Path, page: str, start: str = "") -> None:
    """Open a report from disk and take it."""
    driver.get((folder / "index.html").resolve().as_uri())
    take(driver, out, page, start)


def for_documentation(out: Path, docs: Path, page: str, scheme: str) -> Path:
    """Put both widths of a page beside each other into a small file."""
    wide, phone = (Image.open(out / f"{page}_{width}_{scheme}.png").convert("RGB") for width in SIZES)
    gap = 24
    sheet = Image.new("RGB", (wide.width + gap + phone.width, SHOWN), "#808080")
    for picture, left in ((wide, 0), (phone, wide.width + gap)):
        background = Image.new("RGB", (picture.width, SHOWN), picture.getpixel((0, 0)))  # where the page ends earlier
        background.paste(picture, (0, 0))
        sheet.paste(background, (left, 0))
    sheet = sheet.resize((TOGETHER, round(SHOWN * TOGETHER / sheet.width)), Image.LANCZOS)
    for quality in range(88, 40, -4):
        stream = io.BytesIO()
        sheet.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() < MOST:
            break
    else:
        sys.exit(f"error: {page} in {scheme} does not fit into {MOST} bytes; show less of it")
    path = docs / f"{page}_{scheme}.jpg"
    path.write_bytes(stream.getvalue())
    return path


def main(words: Sequence[str] | None = None) -> int:
    """Take all pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the pictures and all that is made for them")
    parser.add_argument("--run", type=Path, help="run folder of the recipe quickstart with its report")
    parser.add_argument("--docs", type=Path, help="folder for the small pictures of the documentation")
    args = parser.parse_args(words)
    args.out.mkdir(parents=True, exist_ok=True)
    reports = make_reports(args.out, args.run or train(args.out))
    with chromium() as driver:
        serve_page(driver, args.out)
        for page, folder in reports.items():
            report_page(driver, folder, args.out, page, "training" if page == "training" else "")
    for page in PAGES if args.docs else ():
        for scheme in ("light", "dark"):
            path = for_documentation(args.out, args.docs, page, scheme)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
