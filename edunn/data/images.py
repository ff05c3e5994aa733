"""Images on disk: a folder or a zip of class folders. Nothing is extracted from a zip."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePosixPath

import torch

from ..errors import DataError
from . import files
from .decode import check_size, decode_all
from .samples import Dataset, Samples

SUFFIXES = {
    ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
}  # fmt: skip
LARGEST = 256 * 2**20  # bytes of one image file
LEFT_BEHIND = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # by operating systems

PARTS = {  # the folders of parts, in any capitals
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip

Name = tuple[str, ...]  # a path inside the folder or zip: ("train", "cat", "1.png")


@dataclass(frozen=True)
class ImageSource:
    """A folder or a zip: the folders and images in it, by name, and how to read one."""

    path: Path
    folders: set[Name]
    images: list[Name]
    read: Callable[[Name], bytes]
    inside: Name = ()  # the folder that is wrapped around it all; names leave it out

    def content(self, name: Name) -> bytes:
        return self.read((*self.inside, *name))

    def title(self, name: Name) -> str:
        """Returns a file's full name for errors."""
        return "/".join((str(self.path), *self.inside, *name))


def read_images(
    path: str | PathLike[str],
    size: int | Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Reads a folder or a zip of class folders: images, uint8 (samples, height, width, 3), and class indices.

    Either `<class>/<image>`, or `train/<class>/<image>` and the like under `val/` or `test/`, or both, in any capitals
    (`validation`, `valid`, `training` and `testing` are the same); one folder around all of it is allowed. Classes are
    in alphabetical order, images in the order of class and file name. PNG, JPEG, BMP, WebP and the like are recognised
    by their suffix; other files and hidden ones are ignored.

    Parameters
    ----------
    size : resize to a square of this side, or to (height, width); proportions are not kept. Without it all images must
        have one size already.
    progress : called with (images done, images in all) now and then

    The sha256 is the zip's own; of a folder, that of the lines `<sha256>  <path>` of its images, as `sha256sum` prints
    them, sorted by path.
    """
    path = files.check_exists(path, "a folder or a zip of class folders")
    both = check_size(size)
    with ExitStack() as stack:
        source = unwrap(open_source(path, stack))
        parts, classes = arrange(source)
        listed = [name for names in parts.values() for name in names]

        def report(done: int) -> None:
            if progress is not None:
                progress(done, len(listed))

        titles = [source.title(name) for name in listed]
        images, digests = decode_all(titles, lambda row: source.content(listed[row]), both, report)
    targets = torch.tensor([classes.index(name[-2]) for name in listed], dtype=torch.int64)
    samples = Samples(images, targets, classes=classes, target_name="class")
    found, start = {}, 0
    for name, listed_here in parts.items():
        found[name] = samples[start : start + len(listed_here)]
        start += len(listed_here)
    return Dataset(
        name=path.resolve().name if path.is_dir() else path.stem,
        train=found["train"],
        test=found.get("test"),
        validation=found.get("validation"),
        sha256=listing_sha256(listed, digests) if path.is_dir() else files.sha256(path),
        source=str(path),
    )


def read_unsorted_images(
    path: str | PathLike[str], size: int | Sequence[int] | None = None, classes: Sequence[str] | None = None
) -> Samples:
    """Reads images to predict: one file, or all in a folder or zip, however deep, in the order of their paths.

    Parameters
    ----------
    size : as for `read_images`
    classes : the names that a model has learned. Where every image lies in a folder with such a name, that is its
        target; else there are no targets.
    """
    path = files.check_exists(path, "an image, or a folder or zip of images")
    both = check_size(size)
    with ExitStack() as stack:
        if path.is_file() and is_image((path.name,)):
            source = ImageSource(path.parent, set(), [(path.name,)], lambda name: read_file(path))
        else:
            source = open_source(path, stack)
        if not source.images:
            raise DataError(f"'{path}' does not contain images. Known suffixes: {list_some(SUFFIXES, 10)}.")
        titles = [source.title(name) for name in source.images]
        images, _ = decode_all(titles, lambda row: source.content(source.images[row]), both)
    called = tuple("/".join(name) for name in source.images)
    if classes is None:
        return Samples(images, names=called)
    holders = [name[-2] if len(name) > 1 else "" for name in source.images]
    known = {name: index for index, name in enumerate(classes)}
    targets = torch.tensor([known[name] for name in holders]) if known.keys() >= set(holders) else None
    return Samples(images, targets, classes=tuple(classes), target_name="class", names=called)


# What there is


def open_source(path: Path, stack: ExitStack) -> ImageSource:
    """Opens a folder, or a zip that stays open as long as `stack` does."""
    return open_folder(path) if path.is_dir() else open_archive(path, stack.enter_context(files.open_zip(path)))


def open_folder(path: Path) -> ImageSource:
    folders: set[Name] = set()
    images: list[Name] = []

    def walk(folder: Path, here: Name, above: frozenset[str]) -> None:
        """Follows links as well, except one that leads back to a folder above."""
        real = os.path.realpath(folder)
        if real in above:
            return
        folders.add(here)
        with os.scandir(folder) as found:
            entries = list(found)
        for entry in entries:
            if not is_ours(entry.name):
                continue
            if entry.is_dir():
                walk(folder / entry.name, (*here, entry.name), above | {real})
            elif is_image((entry.name,)):
                images.append((*here, entry.name))

    try:
        walk(path, (), frozenset())
    except OSError as problem:
        raise DataError(f"Cannot read the folder '{problem.filename}': {files.reason(problem)}.") from problem
    folders.discard(())
    return ImageSource(path, folders, sorted(images), lambda name: read_file(path.joinpath(*name)))


def open_archive(path: Path, archive: zipfile.ZipFile) -> ImageSource:
    folders: set[Name] = set()
    members: dict[Name, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/")).parts
        if not name or not all(is_ours(part) for part in name):
            continue
        folders |= {name[:depth] for depth in range(1, len(name))}
        if info.is_dir():
            folders.add(name)
        elif is_image(name):
            members[name] = info
    return ImageSource(
        path, folders - {()}, sorted(members), lambda name: files.read_member(archive, members[name], LARGEST)
    )


def read_file(path: Path) -> bytes:
    return files.read_bytes(path, "an image", LARGEST)


def is_ours(name: str) -> bool:
    return not name.startswith(".") and name not in LEFT_BEHIND


def is_image(name: Name) -> bool:
    return PurePosixPath(name[-1]).suffix.lower() in SUFFIXES


# How it is laid out


def unwrap(source: ImageSource) -> ImageSource:
    """Enters a single folder that contains all others: many archives are packed so."""
    while True:
        tops = {name[0] for name in source.folders}
        deeper = {name[1:] for name in source.folders if len(name) > 1}
        loose = any(len(name) <= 2 for name in source.images)  # in the single folder itself: then it is a class
        if len(tops) != 1 or not deeper or loose or all(top.lower() in PARTS for top in tops):
            return source
        inside = (*source.inside, *tops)
        source = replace(source, folders=deeper, images=[name[1:] for name in source.images], inside=inside)


def arrange(source: ImageSource) -> tuple[dict[str, list[Name]], tuple[str, ...]]:
    """Returns the images of each part, "train" and perhaps "validation" and "test", and the classes."""
    tops = {name[0] for name in source.folders}
    if not any(name[0].lower() in PARTS and len(name) > 1 for name in source.folders):
        images, classes = class_folders(source, ())
        parts = {"train": images}
    else:
        folders = part_folders(source, tops)
        images, classes = class_folders(source, (folders["train"],))
        parts = {"train": images}
        for part in ("validation", "test"):
            if part not in folders:
                continue
            parts[part], met = class_folders(source, (folders[part],))
            if unknown := met - classes:
                raise DataError(
                    f"{folders[part]}/ of '{source.path}' has classes that {folders['train']}/ lacks: "
                    f"{list_some(unknown)}. Give it images in {folders['train']}/, or take it out."
                )
    if len(classes) < 2:
        raise DataError(
            f"Expected two class folders of images or more in '{source.path}'; got {list_some(classes) or 'none'}. "
            f"Lay it out as <class>/<image>."
        )
    return parts, tuple(sorted(classes))


def part_folders(source: ImageSource, tops: set[str]) -> dict[str, str]:
    """Returns the folder of each part: {"train": "Train", "test": "test"}."""
    folders: dict[str, str] = {}
    for top in sorted(tops):
        part = PARTS.get(top.lower(), "")
        if part in folders:
            raise DataError(f"'{source.path}' has two {part} parts, {folders[part]}/ and {top}/. Take one out.")
        if part:
            folders[part] = top
    if "train" not in folders:
        other = next(iter(folders.values()))
        raise DataError(
            f"'{source.path}' has {other}/, but no train/ with <class>/<image>. "
            f"To read the images of {other}/ alone, give that folder."
        )
    if others := tops - set(folders.values()) | {name[0] for name in source.images if len(name) == 1}:
        raise DataError(
            f"Beside train/, val/ and test/, '{source.path}' may hold nothing else; got {list_some(others)}. "
            f"Take it out."
        )
    return folders


def class_folders(source: ImageSource, start: Name) -> tuple[list[Name], set[str]]:
    """Returns the images below `start`, each in a class folder, and the classes."""
    depth = len(start)
    images = [name for name in source.images if name[:depth] == start]
    classes = {name[depth] for name in source.folders if name[:depth] == start and len(name) > depth}
    for name in images:
        if len(name) != depth + 2:
            lies = "outside the class folders" if len(name) < depth + 2 else "in a folder inside a class folder"
            raise DataError(
                f"Expected images as {'/'.join((*start, '<class>', '<image>'))}; '{source.title(name)}' lies {lies}. "
                f"Move it."
            )
    if empty := classes - {name[depth] for name in images}:
        raise DataError(
            f"The class folder '{source.title((*start, min(empty)))}' has no images. "
            f"Fill it ({list_some(SUFFIXES, 10)}) or remove it."
        )
    return images, classes


def listing_sha256(names: Sequence[Name], digests: Sequence[str]) -> str:
    """Returns one sha256 for many files: of what `sha256sum` prints for them, sorted by path."""
    lines = sorted(("/".join(name), digest) for name, digest in zip(names, digests, strict=True))
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in lines).encode()).hexdigest()


def list_some(names: Iterable[str], most: int = 3) -> str:
    listed = sorted(names)
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")
