"""The sweep's file as it was in effect, and the versions that its trials ran with."""

from __future__ import annotations

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.provenance_facts import Start, last_start
from sweep.report.sections.page_section import PageSection, rendered
from sweep.store.files import read_text
from sweep.store.layout import Layout

TEMPLATE = """\
{% if versions %}
<p class="versions">
{% for name, version in versions %}<span>{{ name }} {{ version }}</span> {% endfor %}
</p>
{% endif %}
<details><summary>sweep.yaml as it was in effect</summary>
<pre tabindex="0">{{ spec }}</pre>
</details>
"""


def settings_section(results: Results) -> PageSection:
    """Versions and sweep.yaml.

    Raises:
        ResultsError: a provenance.json is broken.
    """
    spec = read_text(Layout(results.folder).sweep_yaml)
    html = rendered(TEMPLATE, versions=_versions(results), spec=spec)
    return PageSection(name="spec", title="Settings and versions", html=html)


def _versions(results: Results) -> list[tuple[str, str]]:
    """How the first trial with a provenance.json was last started."""
    trials = (Layout(results.folder).trial(record.trial_id) for record in results.records)
    run = next((last_start(trial) for trial in trials if trial.provenance.exists()), Start())
    found = {name: version for name, version in run.versions.items() if version}
    if run.code.version:
        found["medical-sweep"] = f"{run.code.version} ({(run.code.commit or 'no commit')[:10]})"
    if run.machine.device:
        found["device"] = run.machine.device
    return list(found.items())
