"""Writing of matplotlib figures."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_picture(figure: "Figure", path: Path) -> Path:
    """Writes a figure as .svg, with reproducible bytes, and as .png, whose path it returns."""
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)
    return path.with_suffix(".png")
