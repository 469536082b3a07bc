"""Rankings and texts as LaTeX source."""

from __future__ import annotations

import re
from pathlib import Path

from finalists import CLEAR, TIE
from hypothesis import given
from hypothesis import strategies as st
from synthetic import diverged_at, drawn, results_of, trial, write_sweep

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.analysis.ranked_table import RankedTable, setting_column
from sweep.report.page_table import page_tables
from sweep.report.takeaway.latex_ranking import latex_table, top_of_ranking
from sweep.report.takeaway.latex_text import SPECIAL, escaped, latex
from sweep.report.takeaway.methods import methods
from sweep.vocabulary.record import Status


def rows(source: str) -> list[list[str]]:
    """The cells of each line between \\midrule and \\bottomrule."""
    body = source.partition("\\midrule")[2].partition("\\bottomrule")[0]
    return [
        re.split(r" & ", line.strip().removesuffix(r" \\"))
        for line in body.splitlines()
        if line.strip() and "midrule" not in line
    ]


def test_diverged_trial_has_the_last_rank_in_every_table_and_text() -> None:
    results = results_of(trial(0, diverged_at(1), [0.9]), trial(1, Status.COMPLETED, [0.5]))
    assert list(results.frame["trial_id"]) == ["t0001", "t0000"]
    assert list(results.frame["rank"]) == [1, 2]
    [table] = page_tables(results)
    assert next(one for one in table.columns if one.name == "rank").texts == ("1", "2")
    source = top_of_ranking(results)
    assert [row[:2] for row in rows(source)] == [["1", "t0001"], ["2", "t0000"]]
    assert "Diverged and failed runs are ranked last, in no order of merit." in source
    text = methods(results)
    assert text is not None
    assert "whose own run diverged ranks last, whatever it had reached." in text.plain


@given(st.text())
def test_escaped_text_holds_no_character_with_a_meaning_in_latex(text: str) -> None:
    rest = escaped(text)
    for source in sorted(SPECIAL.values(), key=len, reverse=True):
        rest = rest.replace(source, "")
    assert not set("\\{}#$%&_^~") & set(rest)


def test_each_small_greek_letter_is_a_command_of_latex() -> None:
    assert escaped("γ τ λ ε") == r"$\gamma$ $\tau$ $\lambda$ $\varepsilon$"
    assert escaped("μ µ") == r"$\mu$ $\mu$", "the letter, and the micro sign of a unit"


def test_no_row_begins_with_an_option_of_the_row_before() -> None:
    table = RankedTable({"trainer.patch": setting_column([(3, 5), "*"])})
    assert rows(latex_table(table)) == [["{[}3, 5]"], ["{*}"]]


def test_code_is_set_in_typewriter_and_may_break_after_dots() -> None:
    assert latex("see `loss.sqrt_epsilon` & co") == (
        r"see \texttt{loss.\allowbreak{}sqrt\_\allowbreak{}epsilon} \& co"
    )


def test_mean_is_bold_only_of_a_finalist_that_was_told_apart(tmp_path: Path) -> None:
    clear = top_of_ranking(read_results(write_sweep(tmp_path / "x", CLEAR)))
    tied = top_of_ranking(read_results(write_sweep(tmp_path / "y", TIE)))
    bold = [[cell for cell in row if r"\textbf" in cell] for row in rows(clear)]
    assert bold == [[r"\textbf{0.9087 (0.8952 to 0.9223)}"], []]
    assert r"\textbf" not in tied
    assert "Configurations with a common letter cannot be told apart." in tied


def test_ranking_has_units_all_parameters_and_says_how_many_rows_it_leaves_out(
    tmp_path: Path,
) -> None:
    results: Results = read_results(write_sweep(tmp_path / "x", [drawn(n) for n in range(25)]))
    source = top_of_ranking(results, 3)
    found = rows(source)
    assert [row[1] for row in found] == list(results.frame["trial_id"].head(3))
    assert "The first 3 of 25 rows." in source
    head = source.partition("\\toprule")[2].partition("\\\\")[0]
    assert all(name in head for name in ("warmup epochs", "compactness", "sqrt epsilon"))
    assert len({len(row) for row in found} | {head.count("&") + 1}) == 1


def test_confirmed_leaders_stand_above_a_rule(tmp_path: Path) -> None:
    records = [*CLEAR, trial(2, Status.COMPLETED, [0.99])]
    source = top_of_ranking(read_results(write_sweep(tmp_path / "x", records)))
    assert source.count("\\midrule") == 2
    assert "The two parts were not compared" in source
