"""Videos that clients send: what is checked before anything is kept, where uploads lie, and when they are removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from facerec_models.errors import StoreError
from serving.archive.handle import Archive
from serving.store.contract import Store
from serving.store.rows import VideoRow
from tests.serving.routes import problem

VIDEOS = "/v1/projects/p/videos"


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ('{"fragment": [5, 1]}', "fragment"),
        ('{"sampling": {"fragment": [5, 1]}}', "sampling"),
        ('{"sampling": {"fps": 0}}', "sampling.fps"),
        ('{"sampling": {"fps": 2, "period_frames": 3}}', "not both"),
        ('{"max_false_names": 1}', "max_false_names"),
        ('{"unheard": 1}', "unheard"),
        ("{", "JSON"),
    ],
)
def test_settings_are_checked_before_anything_is_kept(
    client: TestClient, store: Store, clip: Path, settings: str, where: str
) -> None:
    answer = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}, data={"settings": settings})
    assert where in problem(answer, 422)
    assert store.list_videos("p") == []
    assert store.list_jobs() == []


def test_a_picture_track_that_does_not_exist_is_refused_before_anything_is_kept(
    client: TestClient, store: Store, clip: Path
) -> None:
    settings = '{"sampling": {"stream": 7}}'
    answer = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}, data={"settings": settings})
    assert "'a.mp4' has no picture track 7; it has stream 0" in problem(answer, 422)
    assert store.list_videos("p") == []
    kept = client.post(
        VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}, data={"settings": '{"sampling": {"stream": 0}}'}
    )
    assert kept.status_code == 202
    (job,) = store.list_jobs()
    assert job.spec["sampling"]["stream"] == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("..", "video"),
        (".", "video"),
        ("../../evil.mp4", "evil.mp4"),
        ("/etc/evil.mp4", "evil.mp4"),
        ("Zoë é 1.MP4", "Zoë é 1.MP4"),
        ("x" * 400 + ".mp4", "x" * 96 + ".mp4"),
        ("a." + "b" * 240, "b" * 100),
    ],
)
def test_an_uploads_name_cannot_leave_its_folder(
    client: TestClient, store: Store, clip: Path, tmp_path: Path, given: str, kept: str
) -> None:
    answer = client.post(VIDEOS, files={"file": (given, clip.read_bytes())})
    assert answer.status_code == 202, answer.text
    (video,) = store.list_videos("p")
    assert video.name == kept
    assert Path(video.file).parent == tmp_path / "home" / "uploads"
    assert [path.name for path in Path(video.file).parent.iterdir()] == [Path(video.file).name]
    assert video.sha256 in video.file


def test_the_same_submission_is_one_job_and_another_is_one_more(client: TestClient, store: Store, clip: Path) -> None:
    def submit(name: str, **settings: object) -> dict[str, str]:
        form = {"settings": json.dumps(settings)}
        answer: dict[str, str] = client.post(VIDEOS, files={"file": (name, clip.read_bytes())}, data=form).json()
        return answer

    first, second = submit("a.mp4"), submit("b.mp4", priority=3)
    assert first == second
    others = [submit("a.mp4", max_false_names=0.1), submit("a.mp4", no_cache=True), submit("a.mp4", no_cache=True)]
    assert {other["video_id"] for other in others} == {first["video_id"]}
    assert len({first["job_id"], *(other["job_id"] for other in others)}) == 4
    client.post(f"/v1/jobs/{first['job_id']}/cancel")
    assert submit("a.mp4")["job_id"] != first["job_id"]
    assert client.post(f"/v1/jobs/{first['job_id']}/retry").json()["state"] == "queued"
    problem(client.post(f"/v1/jobs/{others[0]['job_id']}/retry"), 409)
    problem(client.post("/v1/jobs/absent/retry"), 404)


def test_a_retried_job_answers_the_same_submission(client: TestClient, clip: Path) -> None:
    def submit() -> str:
        job_id: str = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).json()["job_id"]
        return job_id

    first = submit()
    client.post(f"/v1/jobs/{first}/cancel")
    assert client.post(f"/v1/jobs/{first}/retry").status_code == 202
    assert submit() == first
    client.post(f"/v1/jobs/{first}/cancel")
    second = submit()
    assert second != first
    assert client.post(f"/v1/jobs/{first}/retry").status_code == 202
    assert submit() == second


def test_a_video_row_is_written_after_its_upload(
    client: TestClient, archive: Archive, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_video, rows = type(store).put_video, []

    def watched(store: Store, video: VideoRow) -> None:
        rows.append((video.file, Path(video.file).is_file()))
        put_video(store, video)

    monkeypatch.setattr(type(store), "put_video", watched)
    for name in ("a.mp4", "a.mp4", "b.mov"):
        assert client.post(VIDEOS, files={"file": (name, clip.read_bytes())}).status_code == 202
    (upload,) = archive.files.uploads.iterdir()
    assert set(rows) == {(str(upload), True)}


def test_an_upload_without_a_row_is_used_when_it_is_sent_again(
    client: TestClient, archive: Archive, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise StoreError("the primary is gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "put_video", die)
        problem(client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}), 503)
    assert store.list_videos("p") == []
    (left,) = archive.files.uploads.iterdir()
    assert client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).status_code == 202
    (video,) = store.list_videos("p")
    assert video.file == str(left)
    assert client.delete("/v1/projects/p").status_code == 204
    assert not left.exists()


def test_an_upload_removed_with_another_project_meanwhile_is_written_again(
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_video, removed = type(store).put_video, []

    def after_a_removal(store: Store, video: VideoRow) -> None:
        if not removed:
            Path(video.file).unlink()
            removed.append(video.file)
        put_video(store, video)

    monkeypatch.setattr(type(store), "put_video", after_a_removal)
    assert client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).status_code == 202
    assert Path(removed[0]).read_bytes() == clip.read_bytes()
    assert [video.file for video in store.list_videos("p")] == removed


def test_the_same_content_keeps_the_first_file_while_it_exists(
    client: TestClient, archive: Archive, store: Store, clip: Path, tmp_path: Path
) -> None:
    media, content = tmp_path / "media", clip.read_bytes()
    media.mkdir()
    first, second = media / "first.mp4", media / "second.mp4"
    for file in (first, second):
        file.write_bytes(content)

    def submit(file: Path) -> VideoRow:
        assert client.post(VIDEOS, json={"uri": file.as_uri()}).status_code == 202
        (video,) = store.list_videos("p")
        return video

    submitted = submit(first)
    again = submit(second)
    assert (again.file, again.created_at) == (str(first), submitted.created_at)
    table = f"media,start,end\n{second.as_uri()},0,1\n".encode()
    assert client.post("/v1/projects/p/batches", files={"file": ("many.csv", table)}).status_code == 202
    assert store.list_videos("p")[0].file == str(first)
    assert client.post(VIDEOS, files={"file": ("a.mp4", content)}).status_code == 202
    assert store.list_videos("p")[0].file == str(first)
    first.write_bytes(b"another film by now")
    moved = submit(second)
    assert (moved.file, moved.uri, moved.created_at) == (str(second), second.as_uri(), submitted.created_at)
    second.unlink()
    assert client.post(VIDEOS, files={"file": ("a.mp4", content)}).status_code == 202
    (upload,) = archive.files.uploads.iterdir()
    (video,) = store.list_videos("p")
    assert (video.file, video.uri, video.created_at) == (str(upload), upload.as_uri(), submitted.created_at)


def test_a_webhook_needs_a_host_that_is_allowed(client: TestClient, clip: Path) -> None:
    for url in ("http://10.0.0.1/x", "file:///etc/passwd", "nonsense", "http://[::1"):
        form = {"settings": json.dumps({"webhook": url})}
        refused = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}, data=form)
        assert url in problem(refused, 422)


def test_an_upload_beyond_the_limit_leaves_nothing(
    client: TestClient, archive: Archive, store: Store, clip: Path
) -> None:
    service = client.app.state.service  # type: ignore[attr-defined]
    limits = service.settings.analysis.limits.model_copy(update={"max_upload_bytes": 1000})
    analysis = service.settings.analysis.model_copy(update={"limits": limits})
    object.__setattr__(service, "settings", service.settings.model_copy(update={"analysis": analysis}))
    answer = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())})
    assert "max_upload_bytes = 1000" in problem(answer, 413)
    assert list(service.archive.files.uploads.iterdir()) == []
    assert store.list_videos("p") == []


def test_addresses_are_percent_encoded_and_stay_in_their_folder(
    client: TestClient, store: Store, clip: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    spaced = media / "My film é 100%.mp4"
    spaced.write_bytes(clip.read_bytes())
    assert "%20" in spaced.as_uri()
    assert client.post(VIDEOS, json={"uri": spaced.as_uri()}).status_code == 202
    assert store.list_videos("p")[0].file == str(spaced)
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(clip.read_bytes())
    (media / "link.mp4").symlink_to(outside)
    for uri in (
        outside.as_uri(),
        f"{media.as_uri()}/../outside.mp4",
        f"{media.as_uri()}/%2e%2e/outside.mp4",
        (media / "link.mp4").as_uri(),
        f"{media.as_uri()}x/a.mp4",
        f"{media.as_uri()}/a%00.mp4",
        "ftp://example.org/a.mp4",
    ):
        problem(client.post(VIDEOS, json={"uri": uri}), 422)
    assert len(store.list_videos("p")) == 1


def test_an_upload_that_is_no_video_is_refused_by_its_own_name(
    client: TestClient, archive: Archive, store: Store, tmp_path: Path
) -> None:
    for content in (b"", b"no video", b"\0" * 4096, b"ffconcat version 1.0\nfile a.mp4\n"):
        detail = problem(client.post(VIDEOS, files={"file": ("holiday.mp4", content)}), 422)
        assert detail.startswith("'holiday.mp4' ")
        assert str(tmp_path) not in detail
    assert store.list_videos("p") == []
    assert list(archive.files.uploads.iterdir()) == []


def test_uploads_go_with_the_last_project_that_has_them(
    client: TestClient, archive: Archive, store: Store, clip: Path
) -> None:
    content = clip.read_bytes()
    uploads = archive.files.uploads
    for project in ("q", "r"):
        store.create_project(project)
    for project, name in (("p", "a.mp4"), ("q", "b.MP4"), ("p", "c.mov")):
        assert client.post(f"/v1/projects/{project}/videos", files={"file": (name, content)}).status_code == 202
    beside = uploads / "beside"
    beside.write_text("nobody's")
    assert client.post("/v1/projects/r/videos", json={"uri": clip.as_uri()}).status_code == 202
    (shared,) = {Path(video.file) for video in store.list_videos("q")}
    assert client.delete("/v1/projects/p").status_code == 204
    assert set(uploads.iterdir()) == {beside, shared}
    assert client.delete("/v1/projects/r").status_code == 204
    assert shared.read_bytes() == content
    assert client.delete("/v1/projects/q").status_code == 204
    assert list(uploads.iterdir()) == [beside]
    assert clip.exists()
    problem(client.delete("/v1/projects/q"), 404)


@pytest.mark.parametrize(
    "when", [(Path, "rename"), (Path, "unlink"), (Store, "list_videos"), (Store, "delete_project")]
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_upload_that_another_project_takes_while_one_is_deleted_stays(
    client: TestClient,
    archive: Archive,
    store: Store,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: tuple[type, str],
    number: int,
) -> None:
    contents = [clip.read_bytes(), clip.read_bytes() + b"0"]

    def take(project: str) -> None:
        for content in contents:
            answer = client.post(f"/v1/projects/{project}/videos", files={"file": ("a.mp4", content)})
            assert answer.status_code == 202

    kind, method = when
    owner = Path if kind is Path else type(store)
    original, calls = getattr(owner, method), []

    def take_before(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            take("q")
        return original(self, *arguments, **options)

    take("p")
    store.create_project("q")
    monkeypatch.setattr(owner, method, take_before)
    client.delete("/v1/projects/p")
    monkeypatch.undo()
    uploads = set(client.app.state.service.archive.files.uploads.iterdir())  # type: ignore[attr-defined]
    assert uploads == {Path(video.file) for video in store.list_videos("q")}
    assert {path.read_bytes() for path in uploads} == (set(contents) if uploads else set())


def test_an_upload_whose_last_other_project_is_deleted_before_its_row_is_there_stays(
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = store.put_video

    def delete_the_other_and_put(video: VideoRow) -> None:
        if video.project == "q" and "p" in {project.name for project in store.list_projects()}:
            assert client.delete("/v1/projects/p").status_code == 204
        original(video)

    monkeypatch.setattr(store, "put_video", delete_the_other_and_put)
    store.create_project("q")
    for project in ("p", "q"):
        sent = client.post(f"/v1/projects/{project}/videos", files={"file": ("a.mp4", clip.read_bytes())})
        assert sent.status_code == 202
    (video,) = store.list_videos("q")
    assert Path(video.file).read_bytes() == clip.read_bytes()


@pytest.mark.parametrize("by_address", [False, True])
def test_content_under_another_ending_leaves_no_upload_behind(
    client: TestClient, archive: Archive, store: Store, clip: Path, by_address: bool
) -> None:
    content = clip.read_bytes()
    uploads = archive.files.uploads
    assert client.post(VIDEOS, files={"file": ("b.mp4", content)}).status_code == 202
    (kept,) = uploads.iterdir()
    if by_address:
        assert client.post(VIDEOS, json={"uri": clip.as_uri()}).status_code == 202
    else:
        assert client.post(VIDEOS, files={"file": ("b.mov", content)}).status_code == 202
    assert [video.file for video in store.list_videos("p")] == [str(kept)]
    assert client.delete("/v1/projects/p").status_code == 204
    assert list(uploads.iterdir()) == []
    assert clip.exists()


def test_a_file_is_sent_in_ranges(client: TestClient, clip: Path) -> None:
    content = clip.read_bytes()
    sent = client.post(VIDEOS, files={"file": ('a "quoted" é name.mp4', content)}).json()
    address = f"{VIDEOS}/{sent['video_id']}/file"
    whole = client.get(address)
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, content, "bytes")
    part = client.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert client.get(address, headers={"Range": "bytes=-5"}).content == content[-5:]
    assert client.get(address, headers={"Range": f"bytes={len(content)}-"}).status_code == 416


def test_a_file_that_went_away_is_missed(client: TestClient, store: Store, clip: Path) -> None:
    sent = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).json()
    Path(store.get_video("p", sent["video_id"]).file).unlink()
    assert "no longer there" in problem(client.get(f"{VIDEOS}/{sent['video_id']}/file"), 404)
