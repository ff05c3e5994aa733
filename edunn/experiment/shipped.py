"""The configs that come along: `edunn config --list` names them, and `edunn train NAME` runs one."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError, nearest

# in a wheel beside this file, in the repository at its top
FOLDER = next(
    (
        folder
        for folder in (Path(__file__).parent / "configs", Path(__file__).parents[2] / "configs")
        if folder.is_dir()
    ),
    Path(__file__).parent / "configs",
)


def names() -> list[str]:
    """Returns the names of the configs, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str | Path) -> Path | None:
    """Returns the file of a config by its name, by `NAME.toml` or `configs/NAME.toml`; None for another name."""
    path = Path(name)
    if path.parent.as_posix() not in (".", "configs") or path.suffix not in ("", ".toml"):
        return None
    stem = path.stem.replace("-", "_").lower()
    return FOLDER / f"{stem}.toml" if stem in names() else None


def text(name: str, called: str | None = None) -> str:
    """Returns the text of a config; its first line is the command that trains it, `called` so."""
    path = find(name)
    if path is None:
        raise ConfigError(f"No config is called {name!r}. {nearest(str(name), names())}")
    found = path.read_text(encoding="utf-8")
    return found.replace(f"configs/{path.name}", called or path.stem, 1)


def about(name: str) -> str:
    """Returns the first sentence of a config's comment."""
    lines = [line.removeprefix("#").strip() for line in text(name).splitlines()[1:]]
    comment = " ".join(lines[: next(i for i, line in enumerate(lines) if not line)])
    return comment.split(". ")[0].rstrip(".") + "."
