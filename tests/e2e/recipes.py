"""Recipes of a Markdown page: their files, and their command."""

from dataclasses import dataclass
from pathlib import Path

from tests.markdown import commands, files, sections


@dataclass(frozen=True)
class Recipe:
    """Files (texts by name) and command in one section of a page."""

    files: dict[str, str]
    command: str

    @property
    def length(self) -> int:
        """Lines to type, without blank ones."""
        return sum(1 for text in self.files.values() for line in text.splitlines() if line.strip())


def read_recipes(page: Path) -> dict[str, Recipe]:
    """Recipes by the title of their section; sections without a command hold none."""
    return {
        title: Recipe({name: text for name, _, text in files(text)}, *commands(text))
        for title, text in sections(page).items()
        if commands(text)
    }
