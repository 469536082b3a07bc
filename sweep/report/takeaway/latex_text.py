r"""Text as LaTeX source.

Letters beyond those of Latin scripts and small Greek ones stay as they are, which takes XeLaTeX
or LuaLaTeX. Code in a text stands in backticks, as in Markdown: it becomes ``\texttt{…}``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from sweep.vocabulary.errors import one_line


def _named(letter: str) -> str:
    """LaTeX's command for a Greek letter; Unicode spells one of them LAMDA."""
    return unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")


SMALL_GREEK = "αβγδζηθικλμνξπρστυφχψω"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # at the beginning of a row, it would be an option of the row before
    "*": "{*}",
    "×": r"$\times$",
    "−": "$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "ε": r"$\varepsilon$",
    "µ": r"$\mu$",  # the micro sign, a character of its own
    "Δ": r"$\Delta$",
    "°": r"\textdegree{}",
    "–": "--",
    "…": r"\dots{}",
    "\u00a0": "~",
    **{letter: rf"$\{_named(letter)}$" for letter in SMALL_GREEK},
}
r"""Character → its LaTeX source. ``\textquotedbl`` takes ``\usepackage[T1]{fontenc}``."""


def escaped(text: str) -> str:
    """``text`` with every special character written out, in one line."""
    plain = one_line(" ".join(text.split()))
    return "".join(SPECIAL.get(character, character) for character in plain)


def latex(text: str) -> str:
    r"""The same, with what stands in backticks as ``\texttt{…}``.

    Long dotted names may break after a dot or an underscore.
    """
    parts = re.split(r"`([^`]*)`", text)
    return "".join(
        rf"\texttt{{{_breakable(part)}}}" if number % 2 else _kept_spaces(part)
        for number, part in enumerate(parts)
    )


def table(caption: str, label: str, align: str, heading: str, lines: Sequence[str]) -> str:
    r"""The source of a table, made narrower where it is wider than the text.

    It takes ``\usepackage{booktabs,graphicx}``.

    Args:
        caption: LaTeX.
        label: what it is referred to by, after ``tab:``.
        align: a letter for each column.
        heading: its cells, as those of a row.
        lines: of the rows; an empty one becomes a rule.
    """
    return "\n".join([
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{label}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{align}}}",
        r"    \toprule",
        rf"    {heading} \\",
        r"    \midrule",
        *(rf"    {line} \\" if line else r"    \midrule" for line in lines),
        r"    \bottomrule",
        r"  \end{tabular}}",
        r"\end{table}",
    ])  # fmt: skip


def _breakable(code: str) -> str:
    return re.sub(r"(\.|\\_)(?=[A-Za-z])", r"\1\\allowbreak{}", escaped(code))


def _kept_spaces(text: str) -> str:
    """`escaped`, with one space where the text begins or ends with any."""
    begins, ends = text[:1].isspace(), text[-1:].isspace() and bool(text.strip())
    return " " * begins + escaped(text) + " " * ends
