"""The tables of the reference name what the code has."""

import re
from dataclasses import fields

from asr.data.utterance import FIELDS
from asr.planning.advice import HEADINGS
from asr.scoring.results import Results
from tests.helpers.documented import ROOT

REFERENCE = ROOT / "docs" / "reference"
METRIC = re.compile(r'"((?:train|dev|time|data|system)/[a-z_]+[a-z])')
NO_METRICS = {"dev/panel"}
"""A table in Weights & Biases."""


def test_every_metric_is_explained() -> None:
    page = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    logged = {name for path in (ROOT / "asr").rglob("*.py") for name in METRIC.findall(path.read_text("utf-8"))}
    assert len(logged) > 20
    assert [name for name in sorted(logged - NO_METRICS) if f"`{name}`" not in page] == []
    explained = set(re.findall(r"`((?:train|dev|time|data|system)/[a-z_]+[a-z])`", page))
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "asr").rglob("*.py"))
    assert [name for name in sorted(explained) if name.rpartition("/")[2] not in source] == []


def test_every_key_of_results_and_manifests_is_explained() -> None:
    page = (REFERENCE / "files.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(Results) if f"`{field.name}`" not in page] == []
    assert [name for name in FIELDS if f'"{name}":' not in page] == []


def test_every_column_of_a_plan_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "plan.md").read_text(encoding="utf-8")
    known = {"model", "epochs"}
    assert [heading for heading in HEADINGS if heading not in known and f"\n| {heading} |" not in page] == []
