from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from serving.archive.files import Files
from serving.store.opening import open_store
from serving.store.rows import VideoRow
from tests.ui.command import Place
from training.batch_table import parse_time
from ui.cli.videos import parse_fragment
from ui.demo_material import HOPPER, DemoMaterial, find_file

PART = ["--fragment", "4,14"]


def test_people_are_listed_shown_disabled_and_enabled(place: Place) -> None:
    people = place.json("people", "list")
    assert [person["person_id"] for person in people] == ["Carphone_Man", "Eileen_Collins"]
    assert people[1]["identity"] == "Eileen Collins"
    pictures = place.json("people", "show", "Carphone_Man")
    face = pictures[0]["face_id"]
    assert Path(pictures[0]["crop"]).is_file()
    place.run("people", "disable", face)
    assert place.json("people", "show", "Carphone_Man")[0]["status"] == "disabled"
    place.run("people", "enable", face)
    assert place.json("people", "show", "Carphone_Man")[0]["status"] == "taken"
    assert "no person 'Nobody'" in place.run("people", "show", "Nobody", code=1).stderr


def test_importing_again_adds_nothing_and_keeps_what_was_disabled(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.material.people, tmp_path / "people")
    first = sorted((tmp_path / "people" / "Carphone_Man").iterdir())[0]
    (tmp_path / "people" / "disabled.txt").write_text(f"Carphone_Man/{first.name}\n")
    (tmp_path / "people" / "Eileen_Collins" / "broken.jpg").write_bytes(b"no picture")
    run = place.run("people", "import", tmp_path / "people", "--project", "again", "--json", code=1)
    lines = {line["path"]: line for line in map(json.loads, run.stdout.splitlines())}
    assert lines[f"Carphone_Man/{first.name}"]["status"] == "disabled"
    assert lines["Eileen_Collins/broken.jpg"]["status"] == "refused"
    assert "no picture" in lines["Eileen_Collins/broken.jpg"]["reason"]
    (tmp_path / "people" / "disabled.txt").unlink()
    place.run("people", "import", tmp_path / "people", "--project", "again", code=1)
    people = place.json("people", "list", "--project", "again")
    assert (people[0]["taken"], people[0]["disabled"]) == (4, 1)


def test_a_video_is_recognised_written_and_drawn(place: Place, tmp_path: Path) -> None:
    run = place.run(
        "recognize", place.material.reel, *PART, "--result", tmp_path / "r.json", "--annotated", tmp_path / "a.mp4",
        "--export-frames", tmp_path / "faces",
    )  # fmt: skip
    assert "Eileen Collins" in run.stdout
    assert "Carphone Man" in run.stdout
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["schema"] == "facerec.result/1"
    named = {(a["person_id"], round(a["start_s"]), round(a["end_s"])) for a in result["appearances"] if a["identity"]}
    assert named == {("Eileen_Collins", 4, 8), ("Carphone_Man", 10, 13)}
    tracks = [", ".join(map(str, one["track_ids"])) for one in result["appearances"] if one["identity"]]
    rows = [line.split("│") for line in run.stdout.splitlines() if "Collins" in line or "Carphone" in line]
    assert [row[-2].strip() for row in rows] == tracks
    assert "named by it from now on" in place.run("train").stdout
    assert place.json("history", "list")[-1]["cause"] == "training"
    assert (tmp_path / "a.mp4").stat().st_size > 10_000
    assert list((tmp_path / "faces" / "Eileen_Collins").glob("*.jpg"))


def test_a_second_recognition_reuses_the_analysis(place: Place) -> None:
    first = place.json("recognize", place.material.reel, *PART)
    again = place.json("recognize", place.material.reel, *PART)
    assert again["timing"]["wall_s"] == first["timing"]["wall_s"]
    anew = place.json("recognize", place.material.reel, *PART, "--no-cache")
    assert anew["timing"]["wall_s"] != first["timing"]["wall_s"]
    assert [a["label"] for a in anew["appearances"]] == [a["label"] for a in first["appearances"]]


def test_the_picture_track_is_chosen_by_number(place: Place) -> None:
    main = place.json("recognize", place.material.reel, *PART)
    assert main["video"]["sample_aspect_ratio"] == 1.0
    number = main["video"]["stream"]
    again = place.json("recognize", place.material.reel, *PART, "--stream", number)
    assert [a["label"] for a in again["appearances"]] == [a["label"] for a in main["appearances"]]
    missing = place.run("recognize", place.material.reel, "--stream", 7, code=1)
    assert f"has no picture track 7; it has stream {number} (h264 " in " ".join(missing.stderr.split())


def test_sampling_and_minimum_length_are_options(place: Place) -> None:
    fast = place.json("recognize", place.material.reel, "--fragment", "10,13", "--sample-fps", "5")
    assert (fast["sampling"]["mode"], fast["sampling"]["period_s"]) == ("fps", 0.2)
    slow = place.json("recognize", place.material.reel, "--fragment", "10,13", "--video-speedup", "50")
    assert (slow["sampling"]["mode"], slow["sampling"]["period_s"]) == ("frames", 2.0)
    short = place.json(
        "recognize", place.material.reel, "--fragment", "10,13", "--video-speedup", "50", "--min-length", "9"
    )
    assert slow["appearances"]
    assert not short["appearances"]
    assert short["tracks"]


def test_a_broken_video_fails_alone(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    recognize = ("recognize", broken, place.material.reel, *PART)
    run = place.run(*recognize, "--out-dir", tmp_path / "out", "--json", code=1)
    assert "broken.mp4" in run.stderr
    assert "Traceback" not in run.stderr
    assert json.loads(run.stdout)["video"]["complete"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{place.material.reel.stem}.json"]


def test_pictures_are_named_line_by_line(place: Place, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    picture = next((place.material.people / "Eileen_Collins").iterdir())
    run = place.run("faces", picture, empty, code=1)
    first, second = map(json.loads, run.stdout.splitlines())
    assert (first["path"], first["error"]) == (str(picture), None)
    face = first["faces"][0]
    assert (face["decision"], face["identity"]) == ("named", "Eileen Collins")
    assert len(face["candidates"]) == 2
    assert second["faces"] == []
    assert "empty.jpg" in second["error"]


def test_exports(place: Place, tmp_path: Path) -> None:
    place.json("recognize", place.material.reel, *PART)
    rows = list(csv.DictReader(io.StringIO(place.run("export", place.material.reel, "--format", "csv").stdout)))
    assert {"Eileen Collins", "Carphone Man"} <= {row["label"] for row in rows}
    place.run("export", place.material.reel, "--format", "json", "--out", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["tracks"]
    place.run("export", place.material.reel, "--format", "annotated", "--out", tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").is_file()
    assert "needs --out" in place.run("export", place.material.reel, "--format", "annotated", code=2).stderr


def test_a_batch_gives_one_result_a_fragment(place: Place, tmp_path: Path) -> None:
    shutil.copyfile(place.material.reel, tmp_path / "reel.mp4")
    table = tmp_path / "batch.csv"
    table.write_text(
        "media,start,end,person\nreel.mp4,4,7,Eileen Collins\nreel.mp4,0:10,0:13,Carphone_Man\nnone.mp4,,,\n"
    )
    run = place.run("batch", table, "--out-dir", tmp_path / "out", "--json", code=1)
    first, second, third = map(json.loads, run.stdout.splitlines())
    assert (first["found"], second["found"], third["result"]) == (True, True, None)
    assert "none.mp4" in third["error"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["reel_10_13.json", "reel_4_7.json"]
    table.write_text("media,start,end\nreel.mp4,4,\n")
    assert "line 2" in place.run("batch", table, "--out-dir", tmp_path / "out", code=1).stderr


def test_uploads_go_with_the_last_project_that_has_them(tmp_path: Path) -> None:
    place = Place(tmp_path.resolve() / "home", DemoMaterial(tmp_path, tmp_path, tmp_path))
    home = Files(place.home)
    file = home.upload("a" * 64, ".MP4")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a video")
    with closing(open_store(place.home)) as store:
        for project in ("one", "two"):
            store.create_project(project)
            store.put_video(VideoRow("v-1", project, file.as_uri(), "a" * 64, "a.MP4", str(file), 1.0))
    place.run("projects", "delete", "one", "--yes")
    assert file.read_bytes() == b"a video"
    place.run("projects", "delete", "two", "--yes")
    assert list(home.uploads.iterdir()) == []


def test_projects_and_models(place: Place) -> None:
    assert place.json("projects", "create", "other")["name"] == "other"
    assert {"default", "other"} <= {project["name"] for project in place.json("projects", "list")}
    place.run("projects", "delete", "other", "--yes")
    assert "other" not in {project["name"] for project in place.json("projects", "list")}
    first = place.json("models", "list")[-1]
    assert first["promoted"]
    face = place.json("people", "show", "Carphone_Man")[0]["face_id"]
    place.run("people", "disable", face)
    second = place.json("train")
    assert second["version"] != first["version"]
    assert second["faces"] == first["faces"] - 1
    assert place.json("models", "rollback")["promoted"] == first["version"]
    place.run("models", "promote", second["version"])
    place.run("models", "rollback")
    place.run("people", "enable", face)
    assert place.json("train")["version"] == first["version"]
    place.run("models", "list")
    place.run("projects", "list")


def test_weights_and_doctor(place: Place) -> None:
    entries = {entry["name"]: entry for entry in place.json("weights", "list")}
    assert entries["dlib-resnet-v1"]["status"] == "packaged"
    assert entries["facenet-vggface2"]["status"] == "absent"
    assert place.json("weights", "verify", "dlib-resnet-v1")["intact"]
    missing = place.run("weights", "verify", "facenet-casia", code=1)
    assert "facerec weights fetch facenet-casia" in missing.stderr
    findings = {finding["what"]: finding["state"] for finding in place.json("doctor")}
    assert findings["store"] == findings["home"] == "ok"
    place.run("weights", "list")
    place.run("doctor")


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["recognize", "no.mp4"], 1, "no.mp4"),
        (["people", "import", "nowhere"], 1, "nowhere"),
        (["train", "--project", "nobody"], 1, "nobody"),
        (["train", "--max-false-names", "2"], 2, "max-false-names"),
        (["recognize", "a.mp4", "--fragment", "9,3"], 2, "fragment"),
        (["recognize", "a.mp4", "--sample-fps", "5", "--video-speedup", "5"], 2, "not both"),
        (["recognize", "a.mp4", "b.mp4", "--result", "r.json"], 2, "--out-dir"),
        (["recognize", "https://example.org/a.mp4"], 1, "https://example.org/a.mp4"),
        (["people", "import", ".", "--project", "../x"], 1, "../x"),
        (["history", "undo", "99"], 1, "no edit 99"),
        (["models", "promote", "m-nothing"], 1, "m-nothing"),
    ],
)
def test_errors_name_the_value_and_have_no_traceback(place: Place, arguments: list[str], code: int, part: str) -> None:
    run = place.run(*arguments, code=code)
    assert part in run.error
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    if code == 1:
        assert len(run.stderr.strip().splitlines()) == 1


# The command, interrupted right after the first crop is written.
_INTERRUPTED = """
import os, signal
from serving.archive import videos
from ui.cli import main
write = videos.write_atomically
def write_and_interrupt(path, content):
    write(path, content)
    if path.suffix == ".jpg":
        os.kill(os.getpid(), signal.SIGINT)
videos.write_atomically = write_and_interrupt
main()
"""


def test_an_interruption_leaves_nothing_half_written(place: Place, tmp_path: Path) -> None:
    analyses = place.home / "projects" / "default" / "analyses"
    analyses.mkdir(parents=True, exist_ok=True)
    before = set(analyses.iterdir())
    recognize = ["recognize", place.material.reel, *PART, "--no-cache", "--home", place.home]
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, *map(str, recognize), "--result", str(tmp_path / "r.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert set(analyses.iterdir()) == before
    assert not list(tmp_path.iterdir())


def test_times_are_read() -> None:
    assert parse_time("1:02:03.5") == 3723.5
    assert parse_fragment("10,0:20") == (10, 20)
    assert parse_fragment(None) is None


# Strangers and corrections: in a home of their own, for they change who is known


@pytest.fixture(scope="module")
def seen(trained_home: Path, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home of the demonstration's people and a part of its reel, in which Grace Hopper is seen and not known."""
    place = Place(shutil.copytree(trained_home, tmp_path_factory.mktemp("seen") / "home"), material)
    place.run("recognize", material.reel, "--fragment", "4,19")
    return place


def labels(place: Place) -> set[str]:
    result = json.loads(place.run("export", place.material.reel).stdout)
    return {appearance["label"] for appearance in result["appearances"]}


def test_a_stranger_is_listed_shown_named_and_forgotten(seen: Place) -> None:
    strangers = seen.json("unknowns", "list")
    longest = strangers[0]
    assert longest["screen_time_s"] == max(one["screen_time_s"] for one in strangers)
    assert longest["label"] in seen.run("unknowns", "list").stdout
    shown = seen.json("unknowns", "show", longest["label"])
    assert shown["stranger"] == longest["stranger"]
    assert shown["person_id"] is None
    assert all(Path(track["crop"]).is_file() for track in shown["tracks"])
    assert "track" in seen.run("unknowns", "show", longest["stranger"]).stdout
    change = seen.json("unknowns", "name", longest["stranger"], "Grace Hopper")
    assert change["people"]["Grace_Hopper"]["added"] >= 1
    assert "Grace Hopper" in labels(seen)
    assert "was named Grace_Hopper" in seen.run("unknowns", "show", longest["label"]).stdout
    receipt = seen.json("people", "forget", "Grace Hopper", "--yes")
    assert receipt["faces"] >= 1
    assert receipt["track_crops"] >= 1
    assert "Grace Hopper" not in labels(seen)
    seen.run("people", "forget", "Grace_Hopper", "--yes", code=1)


def test_a_track_is_corrected_and_corrections_are_imported(seen: Place, tmp_path: Path) -> None:
    result = json.loads(seen.run("export", seen.material.reel).stdout)
    track = next(t["track_id"] for t in result["tracks"] if t["person_id"] == "Eileen_Collins")
    reel = str(seen.material.reel)
    seen.run("correct", reel, track, "--is-not", "Eileen_Collins")
    again = json.loads(seen.run("export", reel).stdout)
    assert next(t for t in again["tracks"] if t["track_id"] == track)["person_id"] != "Eileen_Collins"
    table = tmp_path / "corrections.csv"
    table.write_text(f"video,track,decision,person\n{reel},{track},is,Eileen Collins\n")
    change = seen.json("import-corrections", table)
    assert change["people"]["Eileen_Collins"]["added"] >= 1
    table.write_text(f"video,track,decision,person\n{reel},{track},perhaps,Eileen Collins\n")
    refused = seen.run("import-corrections", table, code=1)
    assert "line 2: needs video, track" in refused.stderr
    seen.run("correct", reel, track, code=2)


def test_outliers_are_listed_disabled_and_written(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.material.people, tmp_path / "people")
    shutil.copyfile(find_file(*HOPPER), tmp_path / "people" / "Carphone_Man" / "wrong.jpg")
    project = ("--project", "outliers")
    place.run("people", "import", tmp_path / "people", "--no-outliers", *project)
    found = place.json("people", "outliers", "Carphone_Man", *project)
    assert [face["path"] for face in found] == ["Carphone_Man/wrong.jpg"]
    assert place.json("people", "list", *project)[0]["disabled"] == 0
    assert place.json("people", "outliers", "--strategy", "predecessor", *project) == []
    listed = tmp_path / "disabled.txt"
    place.run("people", "outliers", "--apply", "--write-disabled", listed, *project)
    assert listed.read_text() == "Carphone_Man/wrong.jpg\n"
    assert place.json("people", "list", *project)[0]["disabled"] == 1
    assert "no person 'Nobody'" in place.run("people", "outliers", "Nobody", *project, code=1).stderr


def test_own_strangers_are_added_to_the_shipped_cohort(place: Place, tmp_path: Path) -> None:
    strangers = tmp_path / "strangers"
    shutil.copytree(place.material.people / "Eileen_Collins", strangers / "unknown")
    project = ("--project", "own")
    place.run("people", "import", place.material.people, *project)
    shipped = place.json("cohort", "show", *project)["strangers"]
    version = place.json("identify", "--preview", *project)["version"]
    for _ in range(2):
        assert place.json("cohort", "import", strangers, *project)["strangers"] == 1
        # Previews from before are refused; what adds nobody changes nothing.
        assert place.json("identify", "--preview", *project)["version"] == version + 1
    assert place.json("cohort", "show", *project)["strangers"] == shipped + 1
    assert "of the project's own" in place.run("cohort", "show", *project).stdout
    place.run("train", *project)
    assert "of the project's own" in place.json("models", "list", *project)[0]["metrics"]["cohort"]
    (tmp_path / "empty").mkdir()
    assert "no picture with a face" in place.run("cohort", "import", tmp_path / "empty", *project, code=1).stderr
