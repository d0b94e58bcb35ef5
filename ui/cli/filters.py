"""Options that restrict a search of the archive, the same wherever something is sought."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ui.cli.archive.lookup import find_video
from ui.cli.common import Opened
from ui.cli.targets import parse_fragment

if TYPE_CHECKING:
    from serving.store.naming_rows import AppearanceQuery

LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="Answer at most this many.")]
CursorOption = Annotated[str | None, typer.Option(help="Go on where a search ended.", show_default=False)]
ProbabilityOption = Annotated[
    float, typer.Option("--min-probability", min=0, max=1, help="Leave out what is less sure.")
]
VideoOption = Annotated[
    str | None,
    typer.Option(help="Only in this video: its file, its name, or its id or the beginning of it.", show_default=False),
]
SinceOption = Annotated[
    datetime | None, typer.Option(help="Only videos submitted since this date.", show_default=False)
]
UntilOption = Annotated[
    datetime | None, typer.Option(help="Only videos submitted before this date.", show_default=False)
]
WithinOption = Annotated[
    str | None,
    typer.Option(
        metavar="START,END",
        help="Only what reaches into this part of its video, in seconds or hours:minutes:seconds.",
        show_default=False,
    ),
]


def read_query(
    opened: Opened,
    project: str,
    *,
    video: str | None,
    since: datetime | None,
    until: datetime | None,
    within: str | None,
) -> AppearanceQuery:
    """Return what the options ask for."""
    from serving.store.naming_rows import AppearanceQuery

    start_s, end_s = parse_fragment(within, "--within") or (None, None)
    return AppearanceQuery(
        video_id=None if video is None else find_video(opened, project, video).video_id,
        submitted_from=since.timestamp() if since else None,
        submitted_to=until.timestamp() if until else None,
        start_s=start_s,
        end_s=end_s,
    )
