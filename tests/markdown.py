"""What tests read from Markdown: headings, links, fenced blocks and the files that they print."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for folder in ("", "config", "docs", "results", "tests")
    for page in (ROOT / folder).glob("*.md")
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
# A file's name in backticks on a line of its own, and the fenced block below it.
FILE = re.compile(r"^`([^`\n]+)`\n```(\w+)\n(.*?)^```$", re.M | re.S)


def prose(page: Path) -> str:
    """Text of a page without its fenced blocks."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub names them."""
    names, times = set(), Counter()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.M):
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        names.add(f"{anchor}-{times[anchor]}" if times[anchor] else anchor)
        times[anchor] += 1
    return names


def links(page: Path) -> list[str]:
    """Targets of the links and images of a page."""
    return re.findall(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)", prose(page))


def sections(page: Path) -> dict[str, str]:
    """Text below each heading of the second level."""
    parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.M)[1:]
    return dict(part.split("\n", 1) for part in parts)


def commands(text: str) -> list[str]:
    """Commands of the `sh` blocks of a text; a backslash joins a line to the next."""
    blocks = [block for language, block in FENCED.findall(text) if language == "sh"]
    joined = re.sub(r" *\\\n *", " ", "".join(blocks))
    return [line for line in joined.splitlines() if line]


def files(text: str) -> list[tuple[str, str, str]]:
    """Name, language and content of each fenced block under the name of a file."""
    return FILE.findall(text)
