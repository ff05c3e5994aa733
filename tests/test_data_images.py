"""Folders and zips of images: what they give, and one bad archive for each error."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edunn import data, experiment
from edunn.data import decode, files, read_images, read_unsorted_images
from edunn.errors import ConfigError, DataError, ShapeError
from edunn.experiment import config
from edunn.features import hog

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(
    colour: Any = RED, size: tuple[int, int] = (6, 4), kind: str = "PNG", mode: str = "RGB", **save: Any
) -> bytes:
    """The bytes of an image file of one colour; `size` is (width, height)."""
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind, **save)
    return file.getvalue()


PLAIN = {"dog/1.png": picture(RED), "cat/2.png": picture(GREEN), "cat/1.png": picture(BLUE)}
PARTS = {
    "train/cat/1.png": picture(GREEN),
    "train/dog/1.png": picture(RED),
    "train/dog/2.png": picture(BLUE),
    "test/dog/1.png": picture(GREEN),
}


@pytest.fixture(params=["zip", "folder"])
def pack(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Writes files by name into a zip, or into a folder; a name that ends in / is an empty folder."""

    def as_zip(content: dict[str, bytes]) -> Path:
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, written in content.items():
                archive.writestr(name, written)
        return path

    def as_folder(content: dict[str, bytes]) -> Path:
        path = tmp_path / "pictures"
        for name, written in content.items():
            if name.endswith("/"):
                (path / name).mkdir(parents=True)
                continue
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(written)
        return path

    return as_zip if request.param == "zip" else as_folder


Pack = Callable[[dict[str, bytes]], Path]


def colours(samples: data.Samples) -> list[tuple[int, ...]]:
    return [tuple(image[0, 0].tolist()) for image in samples.features]


def test_class_folders(pack: Pack) -> None:
    dataset = read_images(pack(PLAIN))
    assert dataset.test is None
    assert dataset.name == "pictures"
    train = dataset.train
    assert (train.features.shape, train.features.dtype) == ((3, 4, 6, 3), torch.uint8)
    assert train.classes == ("cat", "dog")
    assert train.targets is not None
    assert train.targets.tolist() == [0, 0, 1]
    assert colours(train) == [BLUE, GREEN, RED]


def test_train_and_test_folders(pack: Pack) -> None:
    dataset = read_images(pack(PARTS))
    assert dataset.test is not None
    assert colours(dataset.train) == [GREEN, RED, BLUE]
    assert colours(dataset.test) == [GREEN]
    assert dataset.test.targets is not None
    assert dataset.test.targets.tolist() == [1]
    assert dataset.test.classes == dataset.train.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("train", "held", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Val", "Test"),
        ("TRAIN", "VALID", "TESTING"),
        ("Training", "validation", None),
        ("training", None, "test"),
    ],
    ids=lambda name: str(name),
)
def test_parts_in_any_capitals(pack: Pack, train: str, held: str | None, test: str | None) -> None:
    content = {f"{train}/cat/1.png": picture(GREEN), f"{train}/dog/1.png": picture(RED)}
    if held is not None:
        content |= {f"{held}/dog/1.png": picture(BLUE), f"{held}/dog/2.png": picture(RED)}
    if test is not None:
        content |= {f"{test}/cat/1.png": picture(BLUE)}
    found = read_images(pack({"inner/README.md": b"", **{f"inner/{name}": file for name, file in content.items()}}))
    assert colours(found.train) == [GREEN, RED]
    for part, name, seen, targets in (
        (found.validation, held, [BLUE, RED], [1, 1]), (found.test, test, [BLUE], [0]),
    ):  # fmt: skip
        assert (part is None) == (name is None)
        if part is not None:
            assert part.targets is not None
            assert (colours(part), part.targets.tolist(), part.classes) == (seen, targets, ("cat", "dog"))


def test_a_validation_folder_is_the_validation_part(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        fill_class_folders(tmp_path / "set" / part)
    tables: dict[str, Any] = {
        "data": {"path": str(tmp_path / "set")},
        "model": "softmax",
        "loss": "cross-entropy",
        "train": {"epochs": 2},
    }
    run = experiment.train(config.parse(tables), tmp_path / "run")
    assert run.manifest["data"]["samples"] == {"train": 4, "validation": 4, "test": 4}
    assert run.summary["validation_accuracy"] is not None
    tables["data"]["validation"] = 0.5
    with pytest.raises(ConfigError, match=r"has a validation part already, of 4 samples\. Leave data\.validation"):
        experiment.prepare(config.parse(tables))
    with pytest.raises(DataError, match="Move its images into train/"):
        data.write_shards(tmp_path / "shards", read_images(tmp_path / "set"))
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("content", [PLAIN, PARTS], ids=["classes", "parts"])
def test_one_folder_around_it_all(pack: Pack, content: dict[str, bytes]) -> None:
    wrapped = {f"pets-1.0/pets/{name}": written for name, written in content.items()}
    dataset = read_images(pack({"pets-1.0/README.md": b"# Pets", **wrapped}))
    assert dataset.train.classes == ("cat", "dog")
    assert (dataset.test is None) == (content is PLAIN)


def test_what_is_passed_over(pack: Pack) -> None:
    beside = {
        "README.txt": b"hello",
        "cat/notes.md": b"hello",
        "cat/.hidden.png": b"no image",
        ".git/x.png": b"no image",
        "__MACOSX/cat/1.png": b"no image",
        "cat/Thumbs.db": b"no image",
    }
    assert len(read_images(pack({**PLAIN, **beside})).train) == 3


def test_a_class_may_be_called_train(pack: Pack) -> None:
    dataset = read_images(pack({"train/1.png": picture(), "bus/1.png": picture()}))
    assert dataset.train.classes == ("bus", "train")


def test_sha256_of_a_zip_and_of_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, content in PARTS.items():
            archive.writestr(name, content)
            (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "a" / name).write_bytes(content)
    assert read_images(tmp_path / "a.zip").sha256 == hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest()
    lines = [f"{hashlib.sha256(PARTS[name]).hexdigest()}  {name}\n" for name in sorted(PARTS)]
    assert read_images(tmp_path / "a").sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("size", [3, (3, 3), (2, 5)], ids=str)
def test_resize(pack: Pack, size: Any) -> None:
    path = pack({**PLAIN, "cat/3.png": picture(RED, (10, 10))})
    height, width = (size, size) if isinstance(size, int) else size
    dataset = read_images(path, size=size)
    assert dataset.train.features.shape == (4, height, width, 3)
    assert colours(dataset.train) == [BLUE, GREEN, RED, RED]


def test_progress_ends_at_the_total(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "BLOCK", 1)
    seen: list[tuple[int, int]] = []
    data.load(pack(PARTS), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_many_blocks_keep_their_order(pack: Pack) -> None:
    content = {f"c{k % 3}/{k:03}.png": picture((k, 0, 0)) for k in range(200)}
    train = read_images(pack(content)).train
    expected = [k for label in range(3) for k in range(200) if k % 3 == label]
    assert [colour[0] for colour in colours(train)] == expected


# Decoding


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (picture(RED), RED),
        (picture(RED, kind="BMP"), RED),
        (picture(RED, kind="GIF", mode="RGB"), RED),
        (picture(RED, kind="WEBP", lossless=True), RED),
        (picture(128, mode="L"), (128, 128, 128)),
        (picture(1, mode="1"), (255, 255, 255)),
        (picture((0, 0, 0, 0), mode="RGBA"), (255, 255, 255)),
        (picture((0, 255, 0, 255), mode="RGBA"), GREEN),
        (picture((100, 0), mode="LA"), (255, 255, 255)),
    ],
    ids=["PNG", "BMP", "GIF", "WebP", "grey", "black and white", "transparent", "opaque", "transparent grey"],
)
def test_kinds_of_images(content: bytes, colour: tuple[int, ...]) -> None:
    image = decode.decode(content, "x")
    assert (image.shape, image.dtype) == ((4, 6, 3), np.uint8)
    assert tuple(int(v) for v in image[1, 1]) == colour


def test_palette_with_transparency_is_white_where_it_is_clear() -> None:
    image = Image.new("P", (6, 4), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 1)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=bytes([0, 255]))
    came = decode.decode(file.getvalue(), "x")
    assert (came[0, 0].tolist(), came[1, 1].tolist()) == ([0, 255, 0], [255, 255, 255])


def test_a_turned_photo_is_set_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to show
    assert decode.decode(picture(RED, (6, 4), "JPEG", exif=exif), "x").shape == (6, 4, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just text", "'x.jpg' cannot be read as an image. Remove or replace it"),
        (b"", "'x.jpg' cannot be read as an image"),
        (picture(RED, (64, 64), "JPEG")[:-200], "'x.jpg' is damaged .*[Tt]runcated"),
        (picture(RED, (64, 64))[:100], "'x.jpg' is damaged"),
        (picture(1000, mode="I;16"), "'x.jpg' has more than 8 bits a channel"),
        (picture(0, (8001, 8000), mode="1"), "'x.jpg' has more than 64 million pixels"),
        (picture(0, (10_000, 10_000), mode="1"), "more than 64 million pixels"),
        (picture(0, (20_000, 20_000), mode="1"), "more than 64 million pixels"),
    ],
    ids=["text", "empty", "cut JPEG", "cut PNG", "16 bits", "large", "large by Pillow's warning", "by Pillow's error"],
)
def test_bad_images(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode.decode(content, "x.jpg")


def test_all_images_together_must_fit(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "DECODED", 200)
    with pytest.raises(DataError, match=r"take .* GiB or less in memory; 3 of 4×6"):
        read_images(pack(PLAIN))


# Archives and layouts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**PLAIN, "dog/2.png": picture(RED, (5, 5))},
         r"cat/1.png' is 4×6 and '.*dog/2.png' 5×5 \(height×width\). Say size=4"),
        ({**PARTS, "test/dog/1.png": picture(RED, (5, 5))}, "train/cat/1.png' is 4×6 and '.*test/dog/1.png' 5×5"),
        ({**PLAIN, "dog/2.jpg": b"no image"}, "dog/2.jpg' cannot be read as an image"),
        ({**PLAIN, "owl/notes.txt": b"none yet"}, "class folder '.*owl' has no images. Fill it"),
        ({**PLAIN, "owl/": b""}, "class folder '.*owl' has no images"),
        ({**PARTS, "test/cat/": b""}, "class folder '.*test/cat' has no images"),
        ({"cat/1.png": picture()}, "two class folders of images or more in .*; got cat"),
        ({"notes.txt": b"hello"}, "two class folders of images or more in .*; got none"),
        ({**PLAIN, "3.png": picture()}, "'.*3.png' lies outside the class folders"),
        ({**PLAIN, "cat/old/3.png": picture()}, "'.*cat/old/3.png' lies in a folder inside a class folder"),
        ({**PARTS, "3.png": picture()}, r"may hold nothing else; got 3\.png\. Take it out"),
        ({**PARTS, "extra/cat/3.png": picture()}, "may hold nothing else; got extra"),
        ({**PARTS, "Train/cat/3.png": picture()}, "has two train parts, Train/ and train/"),
        ({**PARTS, "val/cat/3.png": picture(), "Valid/cat/3.png": picture()}, "two validation parts, Valid/ and val"),
        ({**PARTS, "val/owl/3.png": picture()}, "val/ of .* has classes that train/ lacks: owl"),
        ({"val/cat/1.png": picture(), "val/dog/1.png": picture()}, "has val/, but no train/"),
        ({**PARTS, "train/3.png": picture()}, "'.*train/3.png' lies outside the class folders"),
        ({"test/cat/1.png": picture(), "test/dog/1.png": picture()}, "but no train/"),
        ({**PARTS, "test/owl/1.png": picture()}, "that train/ lacks: owl"),
    ],
    ids=["two sizes", "two sizes over parts", "text as JPEG", "no image in a class", "an empty class",
         "an empty test class", "one class", "no folder", "an image outside", "an image too deep",
         "an image beside train", "another part", "two train parts", "two validation parts",
         "a class of the validation's", "no train but val", "an image in train", "no train",
         "a class of the test's own"],
)  # fmt: skip
def test_bad_layouts(pack: Pack, content: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_images(pack(content))
    assert "\n" not in str(caught.value)


def test_the_first_bad_file_is_named(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "BLOCK", 2)
    content = {f"{k % 2}/{k:02}.png": b"bad" if k in (24, 31, 39) else picture() for k in range(40)}
    path = pack(content)
    for _ in range(5):  # whichever thread is first
        with pytest.raises(DataError, match=r"0/24\.png"):
            read_images(path)


def test_missing_path(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"does not exist. Did you mean '.*pets.zip'"):
        read_images(tmp_path / "pet.zip")
    with pytest.raises(DataError, match="zip archive"):
        read_images(tmp_path / "pets.zip")


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, written in PLAIN.items():
            archive.writestr(name, written)
    return path


def test_a_zip_cut_short(zipped: Path) -> None:
    zipped.write_bytes(zipped.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"zip archive .* is damaged or cut short"):
        read_images(zipped)


def test_a_zip_with_a_wrong_byte(zipped: Path) -> None:
    content = bytearray(zipped.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 0xFF
    zipped.write_bytes(content)
    with pytest.raises(DataError, match=r"'dog/1.png' in .* is damaged .*CRC"):
        read_images(zipped)


def test_a_zip_that_unpacks_to_too_much(zipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LIMIT", 100)
    with pytest.raises(DataError, match="If you trust it, unpack it first"):
        read_images(zipped)


def test_a_zip_bomb_says_so_and_is_not_unpacked(tmp_path: Path) -> None:
    """Three GiB of zeros in three MB: refused from the list of contents alone."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for label in "abc":
            archive.writestr(f"{label}/1.png", bytes(2**20))
    content = path.read_bytes()
    size = (2**20).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (2**30).to_bytes(4, "little")))
    start = time.perf_counter()
    with pytest.raises(DataError, match=r"unpacks to 3\.0 GiB"):
        read_images(path)
    assert time.perf_counter() - start < 1


def test_an_encrypted_zip(zipped: Path) -> None:
    content = bytearray(zipped.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(mark)
        content[at + flags] |= 1
    zipped.write_bytes(content)
    with pytest.raises(DataError, match=r"'dog/1.png' in .* is damaged .*encrypted"):
        read_images(zipped)


@pytest.mark.parametrize("size", [0, (3, 0), (3, 4, 5), 100_000], ids=str)
def test_size_refused(zipped: Path, size: Any) -> None:
    with pytest.raises(ConfigError, match="size is a side"):
        read_images(zipped, size=size)


# Images to predict


def test_unsorted_images(pack: Pack) -> None:
    samples = read_unsorted_images(
        pack({"b.png": picture(RED), "deep/er/a.png": picture(BLUE)}), classes=("cat", "dog")
    )
    assert colours(samples) == [RED, BLUE]
    assert samples.targets is None
    assert samples.classes == ("cat", "dog")


def test_unsorted_images_in_known_folders_have_targets(pack: Pack) -> None:
    path = pack(PLAIN)
    samples = read_unsorted_images(path, size=(4, 6), classes=("dog", "cat"))
    assert samples.targets is not None
    assert samples.targets.tolist() == [1, 1, 0]
    assert read_unsorted_images(path, classes=("dog", "owl")).targets is None
    assert read_unsorted_images(path).classes is None


def test_one_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(GREEN))
    (tmp_path / "b.png").write_bytes(picture(RED))
    assert colours(read_unsorted_images(tmp_path / "a.png", size=2, classes=("x", "y"))) == [GREEN]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"does not contain images"):
        read_unsorted_images(tmp_path / "none")


def test_broken_image_is_one_line_without_warning(tmp_path: Path) -> None:
    """In a fresh interpreter with warnings as errors: a thread's exception comes out as the sentence it is."""
    for name, content in {**PLAIN, "cat/2.png": picture()[:50]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    code = (
        "import sys\nfrom edunn.data import load\nfrom edunn.errors import DataError\n"
        "try:\n    load(sys.argv[1])\nexcept DataError as error:\n    print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    assert ran.stdout.count("\n") == 1
    assert "cat/2.png" in ran.stdout


# Real images

REAL = os.environ.get("EDUNN_REAL_IMAGES", "")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL, reason="EDUNN_REAL_IMAGES names no real images")
def test_real_images() -> None:
    """30,000 JPEG in a zip: all of them, in order, in well under a minute on a shared machine (5 s on two cores)."""
    start = time.perf_counter()
    dataset = data.load(REAL)
    assert time.perf_counter() - start < 60
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.test)) == (25_000, 5_000)
    assert dataset.train.features.shape[1:] == (32, 32, 3)
    assert dataset.train.targets is not None
    assert dataset.train.targets.bincount().tolist() == [2500] * 10
    assert dataset.sha256 == files.sha256(Path(REAL))
    with zipfile.ZipFile(REAL) as archive:
        for row, name in ((0, "train/airplane/0000.jpg"), (24_999, "train/truck/2499.jpg")):
            expected = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
            assert np.array_equal(dataset.train.features[row].numpy(), expected)


def fill_class_folders(folder: Path, names: tuple[str, ...] = ("1.png", "2.png")) -> None:
    for label, kind in enumerate(("cat", "dog")):
        (folder / kind).mkdir(parents=True)
        for i, name in enumerate(names):
            Image.new("RGB", (4, 4), (80 * label, 40 * i, 0)).save(folder / kind / name, "PNG")


def test_field_25_suffixes_of_jpeg_and_others(tmp_path: Path) -> None:
    fill_class_folders(tmp_path / "a", ("1.jfif", "2.jpe", "3.PNM", "4.tga"))
    assert len(read_images(tmp_path / "a").train) == 8


def test_field_25_class_folders_that_are_links(tmp_path: Path) -> None:
    fill_class_folders(tmp_path / "real")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "one").symlink_to(tmp_path / "real" / "cat")
    (tmp_path / "set" / "two").symlink_to(tmp_path / "real" / "dog")
    samples = read_images(tmp_path / "set").train
    assert samples.classes == ("one", "two")
    assert torch.equal(samples.features, read_images(tmp_path / "real").train.features)
    (tmp_path / "real" / "dog" / "back").symlink_to(tmp_path / "real")  # a circle ends
    (tmp_path / "real" / "cat" / "over").symlink_to(tmp_path / "real" / "dog")
    with pytest.raises(DataError, match="in a folder inside a class folder"):
        read_images(tmp_path / "real")


def test_field_25_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the tests run as root, who may read everything."""
    fill_class_folders(tmp_path)
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"Cannot read the folder '.*dog': Permission denied"):
        read_images(tmp_path)


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (5, 1, 28, 28), (5, 4, 6, 7)], ids=str)
def test_field_25_channels_first(shape: tuple[int, ...]) -> None:
    images = torch.zeros(shape, dtype=torch.uint8)
    with pytest.raises(ShapeError, match=r"channels last.*permute\(0, 2, 3, 1\)"):
        data.as_samples(images)
    with pytest.raises(ShapeError, match=r"permute\(0, 2, 3, 1\)"):
        hog.hog(images.float(), pixels_per_cell=2, cells_per_block=1)
    assert data.as_samples(images.permute(0, 2, 3, 1)).is_images


def test_field_39_devices_among_images(tmp_path: Path) -> None:
    fill_class_folders(tmp_path)
    (tmp_path / "cat" / "3.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"3\.png': it is a pipe or a device"):
        read_images(tmp_path)
    (tmp_path / "cat" / "3.png").unlink()
    with (tmp_path / "cat" / "3.png").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="at most 256 are read"):
        read_images(tmp_path)
