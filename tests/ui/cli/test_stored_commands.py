"""``facerec videos`` and ``facerec jobs``, and stored videos as arguments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.images import read_image
from serving.archive.handle import Archive, open_archive
from serving.settings import Settings
from serving.store import leases
from serving.store.job_rows import JobSegment, JobState
from tests.archive import fill
from tests.contract.store_cases import make_job, make_video
from tests.ui.command import Place, ask, ask_p, on_terminal, run
from tests.unit.serving.exports.played_videos import write_media


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive of two named videos, ``v-1.mp4`` and ``v-2.mp4``."""
    with open_archive(Settings(home=tmp_path / "home")) as archive:
        fill(archive)
        yield archive


@pytest.fixture
def home(archive: Archive) -> Path:
    return archive.files.root


# Videos


def test_videos_are_listed_page_by_page(archive: Archive, home: Path) -> None:
    archive.store.put_video(make_video("v-new", 99.0))
    first, second, new = ask_p(home, "videos", "list")
    assert (first["video_id"], first["name"], first["duration_s"]) == ("v-1", "v-1.mp4", 20.0)
    assert (first["analysed"], first["named"], first["people"], first["strangers"]) == (
        True,
        True,
        ["Ann_Lee", "Bob"],
        2,
    )
    assert (new["analysed"], new["named"], new["duration_s"]) == (False, False, None)
    page = run(home, "videos", "list", "--limit", 2, "--project", "p", "--json")
    assert json.loads(page.stdout) == [first, second]
    assert "--after v-2" in page.error
    rest = run(home, "videos", "list", "--limit", 2, "--after", "v-2", "--project", "p", "--json")
    assert json.loads(rest.stdout) == [new]
    assert rest.stderr == ""
    shown = run(home, "videos", "list", "--project", "p").stdout
    (row,) = [line for line in shown.splitlines() if "v-1.mp4" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")][2::2] == ["0:00:20", "yes", "2"]


def test_a_video_is_shown_with_what_was_analysed_and_who_names(archive: Archive, home: Path) -> None:
    found = ask_p(home, "videos", "show", "v-1.mp4")
    assert found == {
        **ask_p(home, "videos", "list")[0],
        **{key: found[key] for key in ("file", "latest_analysis", "analyses")},
        "playing": None,
    }
    (analysis,) = found["analyses"]
    assert (analysis["analysis_id"], found["latest_analysis"]) == ("a-v-1", "a-v-1")
    assert (analysis["start_s"], analysis["end_s"], analysis["period_s"]) == (0.0, 20.0, 1.0)
    version = archive.store.get_model("p").version
    assert analysis["named_by"]["model_version"] == version
    shown = run(home, "videos", "show", "v-1", "--project", "p").stdout
    for part in ("Ann Lee, Bob; 2 strangers", version, analysis["embedder"], "0.0 to 20.0 s", "counts"):
        assert part in shown
    archive.store.put_video(make_video("v-new"))
    assert "not analysed yet" in run(home, "videos", "show", "v-new", "--project", "p").stdout


@pytest.mark.parametrize(("ending", "codec", "plays"), [("mp4", "libx264", True), ("avi", "mpeg4", False)])
def test_a_video_says_whether_browsers_play_it(
    archive: Archive, home: Path, tmp_path: Path, ending: str, codec: str, plays: bool
) -> None:
    file = write_media(tmp_path / f"film.{ending}", codec)
    archive.store.put_video(replace(make_video("v-film"), file=str(file)))
    playing = ask_p(home, "videos", "show", "v-film")["playing"]
    assert (playing["plays"], playing["why"] is None) == (plays, plays)
    shown = run(home, "videos", "show", "v-film", "--project", "p").stdout
    assert ("as it is" in shown, codec in shown) == (plays, not plays)


def test_a_video_is_deleted_after_a_question(archive: Archive, home: Path) -> None:
    refused = run(home, "videos", "delete", "v-1", "--project", "p", code=1)
    assert "v-1.mp4" in refused.error
    receipt = ask_p(home, "videos", "delete", "v-1.mp4", "--yes")
    assert (receipt["video_id"], receipt["analyses"], receipt["crops"]) == ("v-1", 1, 8)
    assert [one["video_id"] for one in ask_p(home, "videos", "list")] == ["v-2"]
    assert [path.name for path in archive.files.analysis("p", "").iterdir()] == ["a-v-2"]
    assert "(analyses: 1, crops: 8)" in run(home, "videos", "delete", "v-2", "--yes", "--project", "p").stdout


@pytest.mark.parametrize("command", [["show"], ["delete", "--yes"], ["list", "--after"]])
def test_a_video_that_is_not_stored_is_one_line_with_a_remedy(home: Path, command: list[str]) -> None:
    ended = run(home, "videos", *command, "none.mp4", "--project", "p", code=1)
    assert "none.mp4" in ended.error
    assert "facerec videos list" in ended.error
    assert len(ended.stderr.splitlines()) == 1


def test_a_stored_video_is_named_by_its_name_where_that_is_clear(archive: Archive, home: Path) -> None:
    assert ask_p(home, "unknowns", "list", "--video", "v-2.mp4") == ask_p(home, "unknowns", "list", "--video", "v-2")
    archive.store.put_video(replace(make_video("v-3"), name="v-2.mp4"))
    refused = run(home, "export", "v-2.mp4", "--project", "p", code=1)
    assert "give the id of one, v-2, v-3" in refused.error or "give the id of one, v-3, v-2" in refused.error


def test_a_batch_takes_ids_and_names_of_stored_videos(place: Place, tmp_path: Path) -> None:
    reel = place.material.reel
    video_id = place.json("recognize", reel, "--fragment", "4,7")["video"]["id"]
    table = tmp_path / "batch.csv"
    table.write_text(f"media,start,end,person\n{reel.name},4,7,Eileen Collins\n{video_id},4,7,\nnone.mp4,,,\n")
    lines = place.run("batch", table, "--out-dir", tmp_path / "out", "--json", code=1).stdout.splitlines()
    by_name, by_id, missing = map(json.loads, lines)
    assert (by_name["found"], by_id["error"], missing["result"]) == (True, None, None)
    results = [json.loads(Path(one["result"]).read_text()) for one in (by_name, by_id)]
    assert [one["video"]["id"] for one in results] == [video_id, video_id]
    assert "there is no file 'none.mp4'" in missing["error"]
    assert place.json("videos", "list")[0]["name"] == reel.name


def test_a_fragment_does_not_hide_what_is_known_of_the_rest(place: Place, tmp_path: Path) -> None:
    reel = place.material.reel
    more = place.json("recognize", reel, "--fragment", "4,14", "--sample-fps", "2")
    assert more["sampling"]["fragment"] == [4, 14]
    drawn, faces = tmp_path / "a.mp4", tmp_path / "faces"
    part = place.run(
        "recognize", reel, "--fragment", "5,7", "--sample-fps", "2", "--annotated", drawn, "--export-frames", faces,
        "--result", tmp_path / "r.json",
    )  # fmt: skip
    assert "only those from 5 to 7 s were analysed" in part.stdout
    assert "of 2.0 s" in part.stdout
    found = json.loads((tmp_path / "r.json").read_text())
    assert {appearance["label"] for appearance in found["appearances"]} == {"Eileen Collins"}
    assert {path.name for path in faces.iterdir()} == {"Eileen_Collins", "frames"}
    (frame,) = (faces / "frames").iterdir()
    assert frame.stem.endswith("_Eileen_Collins")
    assert 5 <= float(frame.stem.partition("_")[0]) < 7
    assert read_image(frame, LimitsConfig()).shape[1::-1] == (found["video"]["width"], found["video"]["height"])
    with Video(drawn, LimitsConfig()) as video:
        assert sum(1 for _ in video.frames()) / video.info.fps == pytest.approx(2.0, abs=0.1)
    only = tmp_path / "part.mp4"
    place.run("export", reel, "--format", "annotated", "--fragment", "0:06,0:07", "--out", only)
    with Video(only, LimitsConfig()) as video:
        assert sum(1 for _ in video.frames()) / video.info.fps == pytest.approx(1.0, abs=0.1)
    refused = place.run("export", reel, "--format", "annotated", "--fragment", "900,901", "--out", only, code=1)
    assert "nothing of" in refused.stderr
    place.run("export", reel, "--format", "csv", "--fragment", "6,7", code=2)
    # Asked again, and found in the store.
    place.run("recognize", reel, "--fragment", "5,7", "--sample-fps", "2")
    stored = json.loads(place.run("export", reel).stdout)
    assert stored["appearances"] == more["appearances"]
    # The same part in another way counts, as the newest.
    finer = place.json("recognize", reel, "--fragment", "4,14", "--sample-fps", "3")
    assert json.loads(place.run("export", reel).stdout)["sampling"] == finer["sampling"]


# Jobs


def submit(archive: Archive, job_id: str, created_at: float = 1.0, project: str = "p") -> None:
    job = make_job(job_id, created_at, project=project)
    archive.store.submit_job(replace(job, video_id="v-1", spec={"video_id": "v-1", "no_cache": True}))


def fail(archive: Archive, error: str) -> None:
    lease = leases.claim(archive.store, ["video"], "runner", 60.0)
    assert lease is not None
    leases.finish(archive.store, lease, JobState.FAILED, error=error)


def test_jobs_are_listed_by_state_and_project_page_by_page(archive: Archive, home: Path) -> None:
    archive.store.create_project("q")
    for at, (job_id, project) in enumerate([("j-1", "p"), ("j-2", "p"), ("j-3", "q")]):
        submit(archive, job_id, at, project)
    fail(archive, "no [room]")
    assert [job["job_id"] for job in ask(home, "jobs", "list")] == ["j-1", "j-2", "j-3"]
    assert [job["job_id"] for job in ask(home, "jobs", "list", "--project", "q")] == ["j-3"]
    (failed,) = ask(home, "jobs", "list", "--state", "failed")
    assert (failed["job_id"], failed["error"], failed["created_at"]) == ("j-1", "no [room]", 0.0)
    assert len(ask(home, "jobs", "list", "--state", "failed", "--state", "queued")) == 3
    page = run(home, "jobs", "list", "--limit", 1, "--after", "j-1", "--json")
    assert [job["job_id"] for job in json.loads(page.stdout)] == ["j-2"]
    assert "--after j-2" in page.error
    assert "no [room]" in run(home, "jobs", "list").stdout


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_jobs_are_readable_on_every_terminal(archive: Archive, home: Path, columns: int) -> None:
    submit(archive, "j-0123456789abcdef", 0)
    shown = on_terminal(home, "jobs", "list", columns=columns)
    assert "j-0123456789abcdef" in shown
    assert "queued" in shown.split()
    assert "…" not in shown


def test_a_job_is_shown_with_its_segments_and_what_it_is_to_do(archive: Archive, home: Path) -> None:
    submit(archive, "j-1")
    lease = leases.claim(archive.store, ["video"], "runner", 60.0)
    assert lease is not None
    leases.plan(archive.store, lease, [JobSegment(0, 0.0, 5.0), JobSegment(1, 5.0, None)])
    found = ask(home, "jobs", "show", "j-1")
    assert (found["state"], found["spec"]["video_id"], len(found["segments"])) == ("running", "v-1", 2)
    log = archive.files.job_log("p", "j-1")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("a line")
    shown = run(home, "jobs", "show", "j-1").stdout
    for part in ("running", "0% done", "v-1", str(log), "5.0 s"):
        assert part in shown


def test_a_queued_job_is_cancelled_and_tried_again(archive: Archive, home: Path) -> None:
    submit(archive, "j-1")
    assert ask(home, "jobs", "cancel", "j-1")["state"] == "cancelled"
    assert "is cancelled" in run(home, "jobs", "cancel", "j-1").stdout
    assert ask(home, "jobs", "retry", "j-1")["state"] == "queued"
    assert archive.store.get_job("j-1").state is JobState.QUEUED
    refused = run(home, "jobs", "retry", "j-1", code=1)
    assert "only a failed or cancelled job can be tried again" in refused.error


def test_a_running_job_is_asked_to_stop(archive: Archive, home: Path) -> None:
    submit(archive, "j-1")
    lease = leases.claim(archive.store, ["video"], "runner", 60.0)
    assert lease is not None
    assert "asked to stop" in run(home, "jobs", "cancel", "j-1").stdout
    assert "asked to stop" in run(home, "jobs", "list").stdout
    assert not leases.renew(archive.store, lease, 60.0, 0.5)
    leases.release(archive.store, lease)
    assert ask(home, "jobs", "show", "j-1")["state"] == "cancelled"


def test_a_job_that_has_ended_is_not_cancelled(archive: Archive, home: Path) -> None:
    submit(archive, "j-1")
    fail(archive, "broken")
    refused = run(home, "jobs", "cancel", "j-1", code=1)
    assert "job j-1 has failed already" in refused.error
    assert "queued" in run(home, "jobs", "retry", "j-1").stdout


def test_a_job_whose_video_was_deleted_is_not_tried_again(archive: Archive, home: Path) -> None:
    submit(archive, "j-1")
    run(home, "videos", "delete", "v-1", "--yes", "--project", "p")
    refused = run(home, "jobs", "retry", "j-1", code=1)
    assert "its video was deleted" in refused.error


@pytest.mark.parametrize("command", [["show"], ["cancel"], ["retry"], ["list", "--after"]])
def test_a_job_that_does_not_exist_is_one_line_with_a_remedy(home: Path, command: list[str]) -> None:
    ended = run(home, "jobs", *command, "j-none", code=1)
    assert "'j-none'" in ended.error
    assert "facerec jobs list" in ended.error
    assert len(ended.stderr.splitlines()) == 1


def test_a_state_that_does_not_exist_is_refused(home: Path) -> None:
    assert "'odd'" in run(home, "jobs", "list", "--state", "odd", code=2).error
