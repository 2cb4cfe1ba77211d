"""The data of the included weights: built from packages whose files and licences are checked."""

import csv
import hashlib
import importlib.util
import io
import struct
import sys
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindrestore.data.lists import read_list
from mindrestore.data.rain import add_rain, draw_rain
from mindrestore.images.pixels import to_float
from mindrestore.images.read import read_rgb

ROOT = Path(__file__).resolve().parents[2]
LICENCE = "Released under https://creativecommons.org/licenses/by/2.0/"


@pytest.fixture(scope="module")
def builder():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")  # the script finds its neighbour as it does when it is run
        yield load()


def load():
    spec = importlib.util.spec_from_file_location("release_data", ROOT / "scripts" / "release_data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((256, 192)).save(stream, "png")
    return stream.getvalue()


@pytest.fixture
def packages(tmp_path):
    """Return a function that writes a package of two pictures with the given licence text, and a table of them."""

    def write(licence=LICENCE, change=b""):
        store, table = tmp_path / "store", tmp_path / "table.csv"
        store.mkdir()
        rows = []
        with zipfile.ZipFile(store / "scikit_learn-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("images/README.txt", licence)
            for number, (use, split) in enumerate((("haze", "train"), ("detail", "test"))):
                wheel.writestr(f"images/p{number}.png", picture(number) + change)
                checksum = hashlib.sha256(picture(number)).hexdigest()
                rows.append(("scikit-learn", f"images/p{number}.png", "somebody", "CC-BY-2.0", use, split, checksum))
        with open(table, "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("package", "file", "author", "licence", "use", "split", "sha256"), *rows])
        return table, store

    return write


def test_builds_pairs_of_every_kind_and_records_the_licences(builder, packages, tmp_path):
    out = tmp_path / "out"
    photos = builder.collect(*packages(), out)
    builder.build_noise(photos, out, scenes=1, seed=0)
    builder.build_camera(photos, out, scenes=1, seed=0)
    builder.build_pairs(photos, out / "rain", 1, (0, 3), partial(builder.rainy, builder.RAINS))
    builder.build_pairs(photos, out / "blur", 1, (0, 9), builder.blurred)
    builder.build_haze(photos, out, scenes=1, seed=0)
    builder.build_plain(photos, out / "plain", builder.PLAIN, (0, 13))
    with open(out / "licences.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["author"], row["licence"]) for row in rows] == [("somebody", "CC-BY-2.0")] * 2
    counts = {
        "haze/train/hazy": 7 + 2,  # of the photograph that has distance, and of the scene
        "haze/test/hazy": 0,  # one scene in fifteen
        "rain/train/input": 5 + 1,
        "rain/test/input": 4,
        "blur/train/target": 5 + 1,
        "blur/test/input": 4,
        "noise/train": 3 + 1,
        "noise/test": 1,
        "noise2/train": 3 + 1,
        "noise2/camera_train/input": 2,
        "noise2/camera_test/target": 4,
        "plain/train/hazy": 12,
        "plain/test/clear": 0,  # the test photograph has no distance
    }
    assert {place: len(list((out / place).glob("*.png"))) for place in counts} == counts
    for hazy in (out / "haze/train/hazy").iterdir():
        clear = read_rgb(out / "haze/train/clear" / hazy.name)
        assert read_rgb(hazy).shape == clear.shape
        assert not np.array_equal(read_rgb(hazy), clear)
    assert (out / "noise/train.csv").read_text(encoding="utf-8").count("train/") == 2 * 4
    pairs = read_list(out / "noise2/train.csv", out / "noise2", (0, 55))
    assert [pair.noise is not None for pair in pairs] == [True] * 3 + [False] * 2 + [True]
    for pair in pairs[3:5]:
        noisy, clear = (to_float(read_rgb(path)) for path in (pair.input, pair.target))
        assert 0.001 < np.abs(noisy - clear).mean() < 0.2


def test_haze_in_shade_is_greyer_than_plain_haze(builder, packages, tmp_path):
    """A line through the pixels, hazy over clear, crosses the diagonal at the airlight: 0.65 to 1, or 0.4 to 0.9."""
    photos = builder.collect(*packages(), tmp_path)
    airlights = {}
    for name, ranges, number in (("plain", builder.PLAIN, 13), ("shade", builder.SHADE, 21)):
        builder.build_plain(photos, tmp_path / name, ranges, (0, number))
        images = [
            [
                to_float(read_rgb(tmp_path / name / "train" / kind / f"scikit-learn-p0_{version}.png")).ravel()
                for kind in ("clear", "hazy")
            ]
            for version in range(12)
        ]
        lines = [np.polyfit(clear, hazy, 1) for clear, hazy in images]
        airlights[name] = sorted(offset / (1 - slope) for slope, offset in lines if slope < 0.9)
    assert airlights["plain"][0] > 0.6
    assert airlights["shade"][0] < 0.55


def test_photographs_are_listed_once_more_dry(builder, packages, tmp_path):
    photos = builder.collect(*packages(), tmp_path)
    builder.build_pairs(photos, tmp_path / "rain3", 1, (0, 15), partial(builder.rainy, builder.RAINS3))
    builder.list_with_dry(tmp_path / "rain3")
    pairs = read_list(tmp_path / "rain3" / "train.csv", tmp_path / "rain3", (0, 0))
    assert len(pairs) == 5 + 1 + 2  # the versions, the scene, two versions dry
    assert [pair.input.parent.name for pair in pairs] == ["input"] * 6 + ["target"] * 2
    assert [pair.input.name for pair in pairs[6:]] == ["scikit-learn-p0_0.png", "scikit-learn-p0_1.png"]
    assert [(pair.target, pair.noise) for pair in pairs[6:]] == [(pair.input, (0,)) for pair in pairs[6:]]


def test_hazy_photographs_are_listed_as_they_are(builder, packages, tmp_path):
    photos = builder.collect(*packages(), tmp_path)
    folder = tmp_path / "rain4"
    builder.build_pairs(photos, folder, 1, (0, 17), partial(builder.rainy, builder.RAINS4))
    builder.list_with_dry(folder)
    builder.build_plain(photos, tmp_path / "plain", builder.PLAIN, (0, 13))
    builder.list_with_hazy(folder, tmp_path / "plain" / "train" / "hazy")
    pairs = {name: read_list(folder / f"{name}.csv", folder, (0, 0)) for name in ("train", "hazy", "dry_hazy")}
    hazy = folder / "train" / "hazy" / "scikit-learn-p0_0.png"
    assert [pair.input for pair in pairs["hazy"]] == [*(pair.input for pair in pairs["train"][:6]), hazy]
    assert pairs["dry_hazy"] == [*pairs["train"], pairs["hazy"][-1]]
    assert (pairs["hazy"][-1].target, pairs["hazy"][-1].noise) == (hazy, (0,))
    assert hazy.read_bytes() == (tmp_path / "plain" / "train" / "hazy" / hazy.name).read_bytes()


def test_frames_are_painted_into_both_images_of_a_pair(builder, packages, tmp_path):
    """Where it is dry they are the same, unlike the photograph; scenes have windows of their own."""
    photos = builder.collect(*packages(), tmp_path)
    for framed in (0.0, 1.0):
        dry = partial(builder.rainy, [builder.DRY])
        builder.build_pairs(photos, tmp_path / str(framed), 1, (0, 17), dry, framed=framed)
    for path in (tmp_path / "1.0/train/target").iterdir():
        painted, clear, plain = (
            to_float(read_rgb(tmp_path / place / path.name))
            for place in ("1.0/train/input", "1.0/train/target", "0.0/train/target")
        )
        assert np.abs(painted - clear).mean() < 0.02  # now and then compressed
        changed = (np.abs(clear - plain).max(axis=-1) > 0.05).mean()
        assert changed == 0 if path.name.startswith("scene") else 0.001 < changed < 0.6


@pytest.mark.parametrize("kind", ["THIN", "BRIGHT", "SOFT"])
def test_rain_from_the_third_generation_on_is_steep(builder, kind):
    """Grey changes more from column to column than from row to row, unlike under rain from any side."""
    ratios = []
    for number in range(12):
        rng = np.random.default_rng(number)
        rainy = add_rain(np.full((200, 200, 3), 0.3), draw_rain(getattr(builder, kind), rng), rng).mean(axis=-1)
        ratios.append(np.abs(np.diff(rainy, axis=1)).mean() / np.abs(np.diff(rainy, axis=0)).mean())
    assert min(ratios) > 1.3
    assert np.median(ratios) > 2


def test_stops_at_a_file_that_the_table_does_not_describe(builder, packages, tmp_path):
    with pytest.raises(SystemExit, match=r"images/p0.png of scikit-learn is another file"):
        builder.collect(*packages(change=b"."), tmp_path / "out")


def test_stops_where_a_package_does_not_name_the_licence(builder, packages, tmp_path):
    with pytest.raises(SystemExit, match=r"does not name CC-BY-2.0 for images/p0.png"):
        builder.collect(*packages(licence="all rights reserved"), tmp_path / "out")


def test_the_table_lists_each_photograph_once(builder):
    with open(builder.TABLE, newline="", encoding="utf-8") as stream:
        photos = [builder.Photo(**row) for row in csv.DictReader(stream)]
    assert len({photo.name for photo in photos}) == len({photo.sha256 for photo in photos}) == len(photos) == 164
    assert {photo.use for photo in photos} == {"haze", "night", "detail", "texture"}
    assert sum(photo.split == "test" for photo in photos) == 5
    assert all(photo.author and photo.licence for photo in photos)


def bundle(files):
    """Return what Qt's resource compiler makes of a folder of files, every second one compressed."""
    names = nodes = contents = b""
    for number, (name, content) in enumerate({"pictures": None, **files}.items()):
        spot, place = len(names), len(contents)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if content is None:
            nodes += struct.pack(">IHIIQ", 0, 2, 1, 1, 0)  # the root, whose one child is the folder
            nodes += struct.pack(">IHIIQ", spot, 2, len(files), 2, 0)
            continue
        squeezed = number % 2 == 0
        held = struct.pack(">I", len(content)) + zlib.compress(content) if squeezed else content
        contents += struct.pack(">I", len(held)) + held
        nodes += struct.pack(">IHIIQ", spot, int(squeezed), 0, place, 0)
    tree = 20
    return struct.pack(">4sIIII", b"qres", 2, tree, tree + len(nodes), tree + len(nodes) + len(contents)) + (
        nodes + contents + names
    )


README = (
    b"Copyright: Somebody\nLicense: CC-BY-SA 4.0\nFiles:\np0.png\n\nCopyright: Others\nLicense: GPLv3\nFiles:\np1.png\n"
)


def test_reads_bundles_of_qt_and_the_licence_of_each_file(builder, tmp_path):
    import release_photos

    out = tmp_path / "out" / "packages" / "game"
    out.mkdir(parents=True)
    files = {"README": README, "p0.png": picture(0), "p1.png": picture(1)}
    (out / "all.rcc").write_bytes(bundle(files))
    place = "all.rcc!pictures/p0.png"
    photo = builder.Photo("game", place, "Somebody", "CC-BY-SA-4.0", "haze", "train", "")
    assert release_photos.place(photo, out).read_bytes() == files["p0.png"]
    release_photos.check_licence(photo, out)
    for change in ({"licence": "CC-BY-4.0"}, {"file": "all.rcc!pictures/p1.png"}):
        with pytest.raises(SystemExit, match=r"the README in all.rcc!pictures/p\d.png does not name CC-BY"):
            release_photos.check_licence(photo._replace(**change), out)
