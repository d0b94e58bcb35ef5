"""The plots of an evaluation's page, each an SVG to be put into HTML."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facerec_models.metrics import ObservedRate, RecordCount, Reliability, sweep
from training.evaluation.evidence import FaceBin, Judgement

# Told apart by people who see no red or green, and in print (Okabe and Ito's palette).
OURS, PREDECESSOR, INK, FAINT = "#0072B2", "#D55E00", "#222222", "#B8BEC6"
_JUDGEMENTS = {
    Judgement.RIGHT: (OURS, "named rightly"),
    Judgement.WRONG: (PREDECESSOR, "named wrongly"),
    Judgement.UNKNOWN: ("#E69F00", "called unknown"),
    Judgement.UNDECIDABLE: (FAINT, "undecidable"),
}
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": "#8A929C",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "facerec",
}


def _svg(draw: Callable[[Axes], None], width: float = 4.6, height: float = 3.6) -> str:
    """Draw on new axes, without the global state of pyplot, and return the element alone."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def precision_recall(ours: RecordCount, shown_at: float, other: tuple[RecordCount, float] | None = None) -> str:
    """Draw precision over recall for every threshold; the dot is what is shown."""

    def draw(axes: Axes) -> None:
        rows = [("FaceRec", OURS, ours, shown_at)]
        if other is not None:
            rows.insert(0, ("predecessor", PREDECESSOR, *other))
        for name, colour, count, threshold in rows:
            points = [(p.recall, p.precision) for p in sweep(count) if p.recall is not None and p.precision is not None]
            recall, precision = [recall for recall, _ in points], [precision for _, precision in points]
            axes.plot([0, *recall], [*precision[:1], *precision], color=colour, lw=2, label=name, drawstyle="steps-pre")
            shown = count.at(threshold)
            if shown.precision is not None and shown.recall is not None:
                axes.plot(shown.recall, shown.precision, "o", color=colour, ms=9, mec="white", mew=1.5, clip_on=False)
        _unit_square(axes, "recall of records", "precision")
        axes.legend(loc="lower left", title="dot: names that are shown", alignment="left")

    return _svg(draw)


def reliability_diagram(stated: Reliability) -> str:
    """Draw how often a probability came true over its value, with 95 % intervals; the size of a dot is its tracks."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, lw=1.5, zorder=0)
        for one in stated.bins:
            if one.mean is not None and one.observed is not None:
                low, high = one.interval
                axes.plot([one.mean] * 2, [low, high], color=OURS, lw=1.2, alpha=0.55)
                axes.plot(one.mean, one.observed, "o", color=OURS, ms=4 + 2 * np.log2(1 + one.count), mec="white")
                axes.annotate(
                    f"{one.count}", (one.mean, one.observed), (9, -3), textcoords="offset points", color=INK, fontsize=8
                )
        _unit_square(axes, "stated probability", "fraction that was right")

    return _svg(draw)


def claimed_observed(rows: Sequence[ObservedRate]) -> str:
    """Draw the observed fraction of named strangers over the claimed one, with 95 % intervals."""

    def draw(axes: Axes) -> None:
        claimed = [row.claimed for row in rows]
        floor = min(claimed) / 4
        span = [floor, 1]
        axes.plot(span, span, color=FAINT, lw=1.5, zorder=0)
        for row in rows:
            low, high = row.interval
            colour = OURS if row.is_kept else PREDECESSOR
            axes.plot([row.claimed] * 2, [max(low, floor), high], color=colour, lw=1.4, alpha=0.6)
            shape = "o" if row.observed > 0 else "v"
            axes.plot(row.claimed, max(row.observed, floor), shape, color=colour, ms=8, mec="white", clip_on=False)
        axes.set(xscale="log", yscale="log", xlim=(min(claimed) / 1.5, max(claimed) * 1.5), ylim=(floor, 1))
        axes.set(xlabel="claimed: at most", ylabel="strangers' tracks named")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axis.set_minor_formatter("")

    return _svg(draw)


def face_bars(bins: Sequence[FaceBin], label: str) -> str:
    """Draw how the faces of each kind were named, in parts of all of them."""

    def draw(axes: Axes) -> None:
        shown = [one for one in bins if one.faces]
        left = np.zeros(len(shown))
        for judgement, (colour, name) in _JUDGEMENTS.items():
            share = np.array([one.judgements[judgement] / one.faces for one in shown])
            axes.barh(range(len(shown)), share, left=left, color=colour, height=0.66, label=name)
            left += share
        axes.set_yticks(range(len(shown)), [f"{one.name}\n{one.faces} faces" for one in shown])
        axes.invert_yaxis()
        axes.set(xlim=(0, 1), title=label)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return _svg(draw, 4.6, 0.9 + 0.52 * max(sum(one.faces > 0 for one in bins), 1))


def judgement_legend() -> list[tuple[str, str]]:
    """Return the colour and the name of each judgement, for a legend above the bars."""
    return list(_JUDGEMENTS.values())


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x, ylabel=y)
    axes.grid(color="#E6E9ED", lw=0.8)
    axes.set_axisbelow(True)
