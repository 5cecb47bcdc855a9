"""Recipes of a Markdown page: their files, the changes in files, and their command."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.markdown import commands, files, sections


@dataclass(frozen=True)
class Recipe:
    """What one section of a page tells its reader to type."""

    files: list[tuple[str, str, str]]
    command: str

    @property
    def length(self) -> int:
        """Lines to type, without blank ones."""
        typed = []
        for _, language, text in self.files:
            lines = text.splitlines()
            if language == "diff":
                lines = [line[1:] for line in lines if line.startswith("+")]
            typed += [line for line in lines if line.strip()]
        return len(typed)

    def apply(self, root: Path) -> None:
        """Write the files, which must be new, and make the changes, which must fit one place."""
        for name, language, text in self.files:
            path = root / name
            if language == "diff":
                path.write_text(changed(path.read_text(), text))
            else:
                with path.open("x") as file:
                    file.write(text)


def changed(text: str, diff: str) -> str:
    """Replace what stands before each hunk by what stands after it."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.M):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        if text.count(before) != 1:
            raise ValueError(f"fits {text.count(before)} places instead of one: {before}")
        text = text.replace(before, after)
    return text


def read_recipes(page: Path) -> dict[str, Recipe]:
    """Recipes by the title of their section; sections without a command hold none."""
    return {
        title: Recipe(files(text), *commands(text))
        for title, text in sections(page).items()
        if commands(text)
    }
