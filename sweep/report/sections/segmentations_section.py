"""Leader and baseline beside each other on the cases on which they differ most."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from sweep.analysis.figures.sweep_results import Results
from sweep.report.page_pictures import compared_pair
from sweep.report.sections.page_section import PageSection, rendered
from sweep.store.pictures.picture_index import CasePictures, TrialPictures

TEMPLATE = """\
{% if sentence %}
<p class="finding">{{ sentence }}</p>
{% endif %}
{% if pair %}
<sweep-pictures trials="{{ pair|join(" ") }}"></sweep-pictures>
{% endif %}
{% if names %}
<p class="reading">{{ "More" if pair else "Pictures are" }} in the views of
{% for name in names %}
<a href="#trial/{{ name }}">{{ name }}</a>{{ ". " if loop.last else ", " }}
{% endfor %}
{% if command %}
Others that kept their weights are drawn by <code>{{ command }} TRIAL</code>.
{% endif %}
</p>
{% elif command %}
<p class="reading">None is drawn. <code>{{ command }}</code> draws the leader and the baseline.</p>
{% else %}
<p class="reading">None is drawn. <code>sweep.pictures</code> draws some in a copy of the results on
this machine, with their weights.</p>
{% endif %}
"""


def segmentations_section(results: Results) -> PageSection | None:
    """The pair, and where the pictures of other trials are; None as long as the sweep runs and
    nothing is drawn."""
    drawn = results.pictures
    if not drawn and (
        results.in_use or results.leader is None or results.spec.trainer.traits.is_own_loop
    ):
        return None
    pair = compared_pair(drawn)
    html = rendered(
        TEMPLATE,
        sentence=_sentence(results, drawn, pair),
        pair=pair if pair is not None and _differing(drawn[pair[0]]) else None,
        names=list(drawn),
        command=results.uri is None and f"python -m sweep.pictures {shlex.quote(results.named())}",
    )
    return PageSection(name="segmentations", title="Segmentations", html=html)


def _sentence(
    results: Results, drawn: Mapping[str, TrialPictures], pair: tuple[str, str] | None
) -> str:
    """On which case the two differ most, with the Dice of both."""
    if pair is None:
        return ""
    names = [_named(results, name) for name in pair]
    ours, theirs = (_differing(drawn[name]) for name in pair)
    both = [
        (one, theirs[case])
        for case, one in ours.items()
        if case in theirs and one.dice is not None and theirs[case].dice is not None
    ]
    # Of the cases that differ, some may have found no space.
    is_whole = not any(drawn[name].left_out for name in pair)
    if not both:
        same = f"{' and '.join(names)} have the same Dice on every validation case."
        return same if is_whole else ""
    first, second = max(both, key=lambda two: abs((two[0].dice or 0) - (two[1].dice or 0)))
    return (
        f"{' and '.join(names)} {'differ most' if is_whole else 'differ'} on {first.case}:"
        f" Dice {first.dice:.4f} against {second.dice:.4f}."
    )


def _named(results: Results, name: str) -> str:
    baseline = results.baseline
    is_baseline = baseline is not None and baseline.trial_id == name
    return f"{name} (the baseline)" if is_baseline else name


def _differing(pictures: TrialPictures) -> dict[str, CasePictures]:
    return {one.case: one for one in pictures.cases if "differs" in one.reasons}
