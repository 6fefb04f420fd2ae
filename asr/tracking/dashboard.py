"""A workspace view and a report in Weights & Biases for speech recognition: overview, training, errors, cells."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.common.documents import read_json
from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_write_text
from asr.scoring.error_unit import ErrorUnit
from asr.tracking.wandb_run import KIND
from asr.tracking.wandb_start import one_line

SAVED = "saved.json"


@dataclass(frozen=True)
class Dashboard:
    """The dashboard of the runs of a recipe."""

    recipe: str
    """Its name, by which its runs are found in the project."""
    project: str
    entity: str
    """User or team; empty if it is unknown (offline)."""
    unit: ErrorUnit = ErrorUnit.word
    """What errors are counted in."""

    def write(self, folder: Path) -> list[Path]:
        """Writes what `save` sends, as workspace.json and report.json."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = {folder / "workspace.json": self._workspace(), folder / "report.json": self._report()}
        for path, part in parts.items():
            text = part._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=1)
            atomic_write_text(path, text + "\n")
        return list(parts)

    def save(self, folder: Path) -> dict[str, str]:
        """Creates both on the server, or updates those that were created from the same folder.

        Returns:
            The addresses of `workspace` and `report`.

        Raises:
            RunError: The server rejects them.
        """
        path = folder / SAVED
        known = read_json(path) if path.exists() else {}
        if (known.get("entity"), known.get("project")) != (self.entity, self.project):
            known = {"entity": self.entity, "project": self.project}
        workspace, report = self._workspace(), self._report()
        workspace._internal_name, workspace._internal_id = known.get("view_name", ""), known.get("view_id", "")
        report.id = known.get("report_id", "")
        try:
            workspace.save()
            known |= {"view_name": workspace._internal_name, "view_id": workspace._internal_id}
            report.save()
            known["report_id"] = report.id
        except Exception as error:  # the library and the network may raise any
            raise RunError(
                f"Weights & Biases did not accept the dashboard ({one_line(error)}): try again, or use "
                "tracker=offline, which writes it as files."
            ) from None
        finally:
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write_text(path, json.dumps(known, indent=1) + "\n")
        return {"workspace": str(workspace.url), "report": str(report.url)}

    def _workspace(self) -> Any:
        import wandb_workspaces.workspaces as ws

        sections = [
            ws.Section(name=name, panels=panels, is_open=place < 2)
            for place, (name, panels) in enumerate(sections_of_panels(self.unit).items())
        ]
        figures = (f"summary:test/{self.unit.rate}", f"summary:dev/{self.unit.rate}.min")
        columns = ["run:displayName", *figures, "config:cells.value", "config:seed.value"]
        return ws.Workspace(
            entity=self.entity,
            project=self.project,
            name=f"{self.recipe}: speech recognition",
            sections=sections,
            settings=ws.WorkspaceSettings(max_runs=20, group_by_prefix="first", ignore_outliers=False),
            runset_settings=ws.RunsetSettings(filters=self._trainings(), pinned_columns=columns),
        )

    def _trainings(self) -> Any:
        """Finds the trainings of the recipe; evaluations, which have the same figures, and comparisons are left out."""
        import wandb_workspaces.expr as expr

        others = (expr.Config(KIND) != kind for kind in ("evaluate", "compare"))
        return expr.And(expr.Config("recipe") == self.recipe, *others)

    def _report(self) -> Any:
        import wandb_workspaces.reports.v2.interface as wr

        runs = self._trainings()
        blocks: list[Any] = []
        for name, panels in sections_of_panels(self.unit).items():
            groups = ["config.cells"] if name == CELLS else []
            runset = wr.Runset(entity=self.entity, project=self.project, name=self.recipe, filters=runs, groupby=groups)
            blocks += [
                wr.H2(name),
                wr.P(TEXTS[name].format(self.unit.label)),
                wr.PanelGrid(runsets=[runset], panels=_laid_out(panels)),
            ]
        return wr.Report(
            entity=self.entity,
            project=self.project,
            title=f"{self.recipe}: speech recognition",
            description="Made by `asr dashboard`.",
            blocks=blocks,
            width="fluid",
        )


CELLS = "LSTM vs. GRU"
SWEEP = "What matters"
SWEPT = ("model.hidden", "model.layers", "model.dropout", "optimizer.learning_rate", "batching.global_seconds", "seed")
"""Settings on the axes of a sweep; W&B adds others at a click."""
TEXTS = {
    "Overview": "Test and dev {0}, and what they cost. The model is chosen by the lowest dev {0}; test is evaluated "
    "once.",
    "Training health": "A blank share near 100 % with empty hypotheses means that CTC has collapsed; a dev loss that "
    "rises while the training loss falls means over-fitting; while a step waits for data, the processor is idle.",
    "Errors": "The worst test utterances with audio and alignment, and hypotheses of a fixed panel of dev utterances "
    "after every epoch.",
    SWEEP: "Settings against dev {0}: each line is a run. The importance is that of a random forest that W&B fits to "
    "the runs shown, without an interval: of a dozen runs it says little. The page of asr report tells how sure it is.",
    CELLS: "Runs grouped by their cells, with the spread over seeds. asr compare tests the difference.",
}


STEP_TIMES = ("time/data_wait_share", "time/compute_share", "time/update_share", "time/ranks_wait_share")
ERRORS = ("substitutions", "deletions", "insertions")
WIDTH, HEIGHT = 24, 6
"""The width of a report in its own units, and the height of a panel; a table is as wide as the report."""


def _laid_out(panels: list[Any]) -> list[Any]:
    """Three panels side by side; a workspace lays them out itself, a report does not."""
    import wandb_workspaces.reports.v2.interface as wr

    x = y = 0
    for panel in panels:
        wide = isinstance(panel, wr.WeavePanelSummaryTable | wr.ParallelCoordinatesPlot)
        width = WIDTH if wide else WIDTH // 3
        if x + width > WIDTH:
            x, y = 0, y + HEIGHT
        panel.layout = wr.Layout(x=x, y=y, w=width, h=HEIGHT)
        x += width
    return panels


def sections_of_panels(unit: ErrorUnit = ErrorUnit.word) -> dict[str, list[Any]]:
    """The panels of the dashboard by section, with the error rate that counts.

    Raises:
        ConfigError: The package that makes them is not installed.
    """
    try:
        import wandb_workspaces.reports.v2.interface as wr
    except ImportError:
        raise ConfigError("asr dashboard needs wandb-workspaces: pip install 'asr[dashboard]' installs it.") from None

    def line(title: str, *metrics: str, x: str = "step", **options: Any) -> wr.LinePlot:
        return wr.LinePlot(title=title, x=x, y=list(metrics), **options)

    rate, title = unit.rate, unit.label
    lowest = wr.SummaryMetric(f"dev/{rate}.min")
    cells: dict[str, Any] = {"groupby": wr.Config("cells"), "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
    return {
        "Overview": [
            wr.BarPlot(title=f"Test {title}", metrics=[f"test/{rate}"]),
            wr.BarPlot(title=f"Lowest dev {title}", metrics=[f"dev/{rate}.min"]),
            line(f"Dev {title} with 95 % interval", *(f"dev/{rate}{end}" for end in ("", "_low", "_high")), x="epoch"),
            wr.ScatterPlot(
                title=f"Dev {title} by training time",
                x=wr.SummaryMetric("seconds"),
                y=wr.SummaryMetric(f"dev/{rate}.min"),
            ),
        ],
        "Training health": [
            line("Training loss (CTC, per token)", "train/loss", log_y=True, smoothing_factor=0.6),
            line("Dev loss (CTC, per token)", "dev/loss", x="epoch"),
            line("Blank frames and empty hypotheses", "dev/blank_share", "dev/empty_share", x="epoch"),
            line("Gradient norm by layer", metric_regex="train/gradient_norm_.*", log_y=True),
            line("Update ratio (step norm / weight norm)", metric_regex="train/update_ratio.*", log_y=True),
            line("Learning rate", "train/learning_rate"),
            line("Step time breakdown", *STEP_TIMES, plot_type="stacked-area"),
            line("Training speed (x real time)", "time/audio_hours_per_hour"),
            line("Padding", "data/padding_share"),
            line("Memory (MB)", "system/peak_memory_mb", x="epoch"),
        ],
        "Errors": [
            line("Substitutions, deletions and insertions on dev", *(f"dev/{error}" for error in ERRORS), x="epoch"),
            wr.WeavePanelSummaryTable(table_name="worst_utterances"),
            wr.WeavePanelSummaryTable(table_name="dev/panel"),
        ],
        SWEEP: [
            wr.ParallelCoordinatesPlot(
                title=f"Settings and lowest dev {title}",
                columns=[
                    *(wr.ParallelCoordinatesPlotColumn(wr.Config(key), display_name=key) for key in ("cells", *SWEPT)),
                    wr.ParallelCoordinatesPlotColumn(lowest, display_name=f"dev {title}"),
                ],
            ),
            wr.ParameterImportancePlot(with_respect_to=f"dev/{rate}.min"),
            wr.ScatterPlot(title=f"Dev {title} by learning rate", x=wr.Config(SWEPT[3]), y=lowest, log_x=True),
            wr.ScatterPlot(title=f"Dev {title} by hidden size", x=wr.Config(SWEPT[0]), y=lowest),
        ],
        CELLS: [
            wr.BarPlot(title=f"Test {title} by cells", metrics=[f"test/{rate}"], **cells),
            line(f"Dev {title} by cells", f"dev/{rate}", x="epoch", **cells),
            line("Training loss by cells", "train/loss", **cells),
            line("Training speed by cells (x real time)", "time/audio_hours_per_hour", **cells),
        ],
    }
