"""A text part of the page, and how one is rendered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

NBSP = "\N{NO-BREAK SPACE}"
BEFORE_PERCENT = re.compile(r"(?<=\d) (?=%)")
SMALL_NUMBER = re.compile(r"(\d[\d.]*e-\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    """A text part of the page. A live page replaces its ``html`` when it has changed.

    Args:
        name: its anchor in the page, such as ``causes``.
        title: its heading, and its entry in the table of contents.
        html: what stands below the heading, from `rendered`.
    """

    name: str
    title: str
    html: str


def rendered(template: str, **values: Any) -> str:
    """The html of a section or a page: ``template`` is jinja2's, and every value is escaped.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return _compiled(template).render(values)


def _prose(text: str) -> Markup:
    """A sentence with its `code` as elements, in which no line begins with a percent sign, or ends
    at the minus of an exponent. `prose` in dom.js does the same."""
    return Markup().join(
        Markup("<code>{}</code>").format(part) if n % 2 else _unbroken(part)
        for n, part in enumerate(text.split("`"))
    )


def _unbroken(text: str) -> Markup:
    parts = enumerate(SMALL_NUMBER.split(BEFORE_PERCENT.sub(NBSP, text)))
    whole = Markup('<span class="whole">{}</span>')
    return Markup().join(whole.format(part) if n % 2 else escape(part) for n, part in parts)


@cache
def _compiled(template: str) -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = _prose
    return environment.from_string(template)
