"""What the site has beside the pages of docs/: its menu, and what lies outside that folder.

The pages link to each other and to files of the repository, as on GitHub. Here each link is sent to
where its target is on the site: a page of `OUTSIDE`, a notebook that has been run, or a page that
shows a file's text.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_page import as_markdown
from plotly.offline import get_plotlyjs

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "docs/README.md": "contents.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "results/README.md": "reference/results-folder.md",
    "examples/plugin/README.md": "examples/plugin.md",
}
"""Pages of the repository → where they are on the site."""
ORIGINS: dict[str, str] = {}
"""Pages of the site that come from outside docs/ → their files in the repository."""
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCED = re.compile(r"(^ *```.*?^ *```)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The menu: the sections of docs/README.md with the pages that each lists."""
    menu: list[Any] = [{"Home": ["index.md", {"All pages": "contents.md"}]}]
    for section in read("docs/README.md").split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        links = re.findall(r"^- .*?\]\(([^)#]+)", text, re.MULTILINE | re.DOTALL)
        pages = [site_place(repository_path("docs/README.md", link)) for link in links]
        menu.append({heading: [page for page in pages if page.endswith(".md")]})
    config.nav = menu
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds pages and files outside docs/ that are linked to, at any depth."""
    files.remove(files.src_uris["README.md"])
    queue = [*OUTSIDE, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(queue)
    for path in queue:
        place = site_place(path)
        if place not in files.src_uris:
            files.append(File.generated(config, place, content=page_text(path)))
            ORIGINS[place] = path
        if path.endswith(".ipynb"):
            files.append(File.generated(config, path, content=read(path)))
        if path.endswith(".md"):
            found = {repository_path(path, link[1]) for link in LINK.findall(prose(read(path)))}
            new = sorted(target for target in found - seen if (ROOT / target).is_file())
            queue += new
            seen |= {*new}
    files.append(File.generated(config, "assets/plotly.js", content=get_plotlyjs()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Sends each link of the repository to where its target is on the site."""
    here = page.file.src_uri
    origin = ORIGINS.get(here, f"docs/{here}")

    def sent(found: re.Match[str]) -> str:
        link, mark, heading = found[2].partition("#")
        target = repository_path(origin, link) if link and "://" not in link else ""
        if not (ROOT / target).is_file() or site_place(target) not in files.src_uris:
            return found[0]  # left as it is: the strict build refuses one that leads nowhere
        return f"{found[1]}{relative(site_place(target), here)}{mark}{heading}{found[3]}"

    parts = FENCED.split(lists_indented_by_four(markdown))
    return "".join(part if FENCED.match(part) else LINK.sub(sent, part) for part in parts)


def page_text(path: str) -> str:
    if path.endswith(".md"):
        return read(path)
    if path.endswith(".ipynb"):
        return as_markdown(ROOT / path, site_place(path))
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"# {Path(path).name}\n\n`{path}`:\n\n````{language}\n{read(path)}\n````\n"


def lists_indented_by_four(text: str) -> str:
    """The text with what belongs to a list item at four spaces, as Python-Markdown needs it."""
    lines, in_list, in_block = [], False, False
    for line in text.split("\n"):
        if not in_block and line[:1].strip():
            in_list = line.startswith("- ")
        if line.lstrip().startswith("```"):
            in_block = not in_block
        indent = len(line) - len(line.lstrip(" "))
        lines.append(" " * (indent if in_list else 0) + line)
    return "\n".join(lines)


def site_place(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{path.removesuffix('.ipynb')}.md"


def repository_path(page: str, link: str) -> str:
    return os.path.normpath(Path(page).parent / link.partition("#")[0])


def relative(place: str, page: str) -> str:
    return os.path.relpath(place, Path(page).parent)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def prose(text: str) -> str:
    return FENCED.sub("", text)
