"""What clients may send by mistake or malice: the answer is a problem document, never a traceback, and nothing is left behind."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from facerec_models.errors import StoreError
from facerec_models.files import write_atomically
from serving.api.app import build_api
from serving.api.service import Service
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.settings import Settings
from serving.store import Store, leases, open_store
from serving.store.job_rows import JobState
from serving.store.rows import Face, FaceStatus, VideoRow

VIDEOS = "/v1/projects/p/videos"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "home")) as store:
        store.create_project("p")
        yield store


@pytest.fixture
def client(store: Store, clip: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The routes over a store whose jobs nobody works on; there is no network behind them."""
    home = Files(tmp_path / "home")
    settings = Settings(home=home.root, media_roots=(clip.parent, tmp_path / "media"))
    absent: Any = SimpleNamespace()
    waker: Any = SimpleNamespace(wake=SimpleNamespace(remote=lambda: None))
    service = Service(settings, Archive(store, home, settings.identification), absent, absent, absent, waker)
    with TestClient(build_api(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def problem(answer: Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[1]", b"{}", b'{"uri": 7}', b'{"uri": "file:///a", "more": 1}', b"[" * 100_000]
)
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    problem(client.post(VIDEOS, content=body, headers={"Content-Type": "application/json"}), 422)


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
    assert where in problem(answer, 422)["detail"]
    assert store.list_videos("p") == []
    assert store.list_jobs() == []


def test_a_picture_track_that_does_not_exist_is_refused_before_anything_is_kept(
    client: TestClient, store: Store, clip: Path
) -> None:
    settings = '{"sampling": {"stream": 7}}'
    answer = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}, data={"settings": settings})
    assert "'a.mp4' has no picture track 7; it has stream 0" in problem(answer, 422)["detail"]
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


def test_a_job_that_is_tried_again_is_what_the_same_submission_means(client: TestClient, clip: Path) -> None:
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


def test_a_row_never_says_that_an_upload_is_where_it_is_not(
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_video, rows = type(store).put_video, []

    def watched(store: Store, video: VideoRow) -> None:
        rows.append((video.file, Path(video.file).is_file()))
        put_video(store, video)

    monkeypatch.setattr(type(store), "put_video", watched)
    for name in ("a.mp4", "a.mp4", "b.mov"):
        assert client.post(VIDEOS, files={"file": (name, clip.read_bytes())}).status_code == 202
    (upload,) = client.app.state.service.archive.files.uploads.iterdir()  # type: ignore[attr-defined]
    assert set(rows) == {(str(upload), True)}


def test_an_upload_that_was_moved_and_got_no_row_is_used_when_it_is_sent_again(
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise StoreError("the primary is gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "put_video", die)
        problem(client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}), 503)
    assert store.list_videos("p") == []
    (left,) = client.app.state.service.archive.files.uploads.iterdir()  # type: ignore[attr-defined]
    assert client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).status_code == 202
    (video,) = store.list_videos("p")
    assert video.file == str(left)
    assert client.delete("/v1/projects/p").status_code == 204
    assert not left.exists()


def test_an_upload_that_goes_with_another_project_just_now_is_put_there_again(
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


def test_content_that_comes_again_is_the_video_as_it_was_submitted(
    client: TestClient, store: Store, clip: Path, tmp_path: Path
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
    (upload,) = client.app.state.service.archive.files.uploads.iterdir()  # type: ignore[attr-defined]
    (video,) = store.list_videos("p")
    assert (video.file, video.uri, video.created_at) == (str(upload), upload.as_uri(), submitted.created_at)


def test_a_webhook_needs_a_host_that_is_allowed(client: TestClient, clip: Path) -> None:
    for url in ("http://10.0.0.1/x", "file:///etc/passwd", "nonsense", "http://[::1"):
        form = {"settings": json.dumps({"webhook": url})}
        refused = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}, data=form)
        assert url in problem(refused, 422)["detail"]


def test_an_upload_beyond_the_limit_leaves_nothing(client: TestClient, store: Store, clip: Path) -> None:
    service = client.app.state.service  # type: ignore[attr-defined]
    limits = service.settings.analysis.limits.model_copy(update={"max_upload_bytes": 1000})
    analysis = service.settings.analysis.model_copy(update={"limits": limits})
    object.__setattr__(service, "settings", service.settings.model_copy(update={"analysis": analysis}))
    answer = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())})
    assert "max_upload_bytes = 1000" in problem(answer, 413)["detail"]
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
        str(spaced),
    ):
        problem(client.post(VIDEOS, json={"uri": uri}), 422)
    assert len(store.list_videos("p")) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/projects/p/faces/..%2F..%2Ffacerec.sqlite3.jpg", 404),
        ("/v1/projects/p/faces/a%00b.jpg", 422),
        ("/v1/projects/p/faces/..jpg", 422),
        ("/v1/projects/p/faces/" + "a" * 5000 + ".jpg", 422),
        ("/v1/projects/..%2Fx/people", 404),
        ("/v1/projects/.../people", 422),
        ("/v1/projects/p%0A/people", 422),
        ("/v1/projects/" + "a" * 65 + "/people", 422),
        ("/v1/projects/p/people/%00", 422),
        ("/v1/projects/p/videos/%2e%2e/file", 404),
        ("/v1/projects/p/videos/v/crops/..%2F..%2Fx/1/0.jpg", 404),
        ("/v1/projects/p/videos/v/crops/a/x/0.jpg", 422),
        ("/v1/jobs/..%2F..", 404),
        ("/v1/jobs/none/events", 404),
        ("/v1/jobs?state=odd", 422),
        ("/v1/jobs?project=nobody", 404),
        ("/nothing", 404),
    ],
)
def test_paths_lead_nowhere_else(client: TestClient, path: str, status: int) -> None:
    problem(client.get(path), status)


def test_a_person_is_found_however_the_name_is_written(client: TestClient, store: Store) -> None:
    face = Face(
        face_id="f-1",
        project="p",
        person_id="Zoë_Kravitz",
        path="Zoë_Kravitz/1.jpg",
        sha256="0" * 64,
        status=FaceStatus.REFUSED,
        reason="no face",
        quality=0.0,
        embedder="e",
        embedding=None,
        crop=None,
        created_at=1.0,
    )
    store.put_faces("p", [face])
    for name in ("Zoë_Kravitz", "Zoë Kravitz", unicodedata.normalize("NFD", "Zoë_Kravitz")):
        (picture,) = client.get(f"/v1/projects/p/people/{quote(name)}").json()
        assert picture["person_id"] == "Zoë_Kravitz"
    assert "'Zoe_Kravitz'" in problem(client.get("/v1/projects/p/people/Zoe Kravitz"), 404)["detail"]


def test_an_upload_that_is_no_video_is_refused_by_its_own_name(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    for content in (b"", b"no video", b"\0" * 4096):
        detail = problem(client.post(VIDEOS, files={"file": ("holiday.mp4", content)}), 422)["detail"]
        assert detail.startswith("'holiday.mp4' ")
        assert str(tmp_path) not in detail
    assert store.list_videos("p") == []


def test_uploads_go_with_the_last_project_that_has_them(client: TestClient, store: Store, clip: Path) -> None:
    content = clip.read_bytes()
    uploads = client.app.state.service.archive.files.uploads  # type: ignore[attr-defined]
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
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch, when: tuple[type, str], number: int
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


def test_what_is_written_into_a_project_that_was_created_again_stays(
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = client.app.state.service.archive.files.face_crop("p", "f")  # type: ignore[attr-defined]
    original = store.delete_project

    def create_again(name: str) -> None:
        original(name)
        store.create_project(name)
        write_atomically(crop, b"new")

    monkeypatch.setattr(store, "delete_project", create_again)
    write_atomically(crop, b"old")
    assert client.delete("/v1/projects/p").status_code == 204
    assert crop.read_bytes() == b"new"


@pytest.mark.parametrize("by_address", [False, True])
def test_content_under_another_ending_leaves_no_upload_behind(
    client: TestClient, store: Store, clip: Path, by_address: bool
) -> None:
    content = clip.read_bytes()
    uploads = client.app.state.service.archive.files.uploads  # type: ignore[attr-defined]
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


def test_a_person_is_no_path(client: TestClient) -> None:
    for person in ("%2e%2e", "a:b", "%00", "%20"):
        problem(client.post(f"/v1/projects/p/people/{person}/pictures", files={"files": ("a.jpg", b"x")}), 422)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://[::1"},
        {"Origin": "file://"},
    ],
)
def test_other_hosts_and_pages_are_refused(client: TestClient, store: Store, headers: dict[str, str]) -> None:
    problem(client.put("/v1/projects/theirs", headers=headers), 403)
    assert [project.name for project in store.list_projects()] == ["p"]


@pytest.mark.parametrize(
    "headers", [{}, {"Host": "localhost:8000"}, {"Host": "[::1]:8000"}, {"Origin": "http://localhost:7860"}]
)
def test_this_machine_is_heard(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/v1/projects", headers=headers).status_code == 200


def test_without_a_model_nothing_is_named(client: TestClient) -> None:
    assert "train" in problem(client.post("/v1/projects/p/faces", files={"files": ("a.jpg", b"x")}), 404)["detail"]
    problem(client.post("/v1/projects/p/identify"), 404)
    problem(client.post("/v1/projects/p/models/m-none/promote"), 404)
    assert client.get("/v1/projects/p/models").json() == []


def test_forms_that_are_none_are_refused(client: TestClient) -> None:
    problem(client.post(VIDEOS, data={"settings": "{}"}), 422)
    problem(client.post(VIDEOS, content=b"x"), 422)
    problem(client.post(VIDEOS, content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    problem(client.delete(VIDEOS), 405)
    problem(client.patch("/v1/projects/p/faces", json={"face_ids": "all", "enabled": True}), 422)
    assert client.patch("/v1/projects/p/faces", json={"face_ids": ["../x"], "enabled": True}).json() == {"changed": 0}


def test_events_tell_every_change_and_end(client: TestClient, store: Store, clip: Path) -> None:
    job_id = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).json()["job_id"]
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    assert [job["job_id"] for job in client.get("/v1/jobs?state=queued").json()] == [job_id]
    mine = leases.claim(store, ["video"], "somebody", 60)
    assert mine is not None
    leases.renew(store, mine, 60, 0.4)
    leases.finish(store, mine, JobState.FAILED, error="the disk is full")
    blocks = [block.split("\n") for block in client.get(f"/v1/jobs/{job_id}/events").text.strip().split("\n\n")]
    assert [lines[0] for lines in blocks] == ["event: job", "event: end"]
    views = [json.loads(lines[1].removeprefix("data: ")) for lines in blocks]
    assert views[0] == views[1] == client.get(f"/v1/jobs/{job_id}").json()
    assert (views[0]["state"], views[0]["progress"], views[0]["error"]) == ("failed", 0.4, "the disk is full")
    assert client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "failed"


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
    assert "no longer there" in problem(client.get(f"{VIDEOS}/{sent['video_id']}/file"), 404)["detail"]


def test_the_interface_describes_itself(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    bodies = document["paths"]["/v1/projects/{project}/videos"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", "application/json"}
    assert document["paths"]["/v1/projects/{project}/videos/{video_id}/result"]["get"]["responses"]["200"]["content"]
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert all(operation.get("summary") for operation in operations)
