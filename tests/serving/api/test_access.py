"""Keys, roles, limits of how often, and the audit log: who is answered what, at every route."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from facerec_models.errors import InputError, StoreError, UnauthenticatedError
from serving.api import health
from serving.api.ingress import access, remembered
from serving.api.ingress.access import role_of
from serving.archive.access import keys
from serving.archive.access.audit import check_audit
from serving.archive.handle import Archive
from serving.settings import AccessConfig, OidcConfig
from serving.store.access_rows import Role
from serving.store.acting import Actor, acting
from serving.store.job_rows import Webhook
from tests.contract.store_cases import make_job, make_video
from tests.local_servers import running
from tests.serving.routes import bare_api, local_client, ok, problem

# What a route's own parameters are called here, so that each path leads to its route.
_VALUES = {"project": "p", "job_id": "j-0123456789abcdef", "number": "1", "track_id": "1", "k": "0"}
_ABSENT = "x-absent"


@pytest.fixture
def api(archive: Archive) -> FastAPI:
    """The routes, the predecessor's too, over the projects ``p``, which has a job, and ``q``."""
    for name in ("p", "q"):
        archive.store.create_project(name)
    archive.store.put_video(make_video("v-" + "a" * 16))
    archive.store.submit_job(make_job(_VALUES["job_id"]))
    return bare_api(archive, legacy_api=True)


@pytest.fixture
def client(api: FastAPI) -> Iterator[TestClient]:
    with local_client(api) as client:
        yield client


def key_of(archive: Archive, **grants: str) -> dict[str, str]:
    """Return the headers of a new key."""
    _, key = keys.create_key(
        archive.store, "for a test", {name.replace("every", "*"): role for name, role in grants.items()}
    )
    return {"Authorization": f"Bearer {key}"}


def operations(api: FastAPI) -> list[tuple[str, str, Role]]:
    """Return method, path and needed role of every operation that OpenAPI shows, and of the predecessor's."""
    found = []
    for path, methods in api.openapi()["paths"].items():
        for method, operation in methods.items():
            stated = {"x-facerec-role": operation["x-facerec-role"]} if "x-facerec-role" in operation else None
            found.append((method.upper(), path, role_of(stated, method.upper())))
    found += [("GET", "/train/{project}", Role.CURATE), ("GET", "/disabled/{project}", Role.READ)]
    found += [("POST", "/disabled/{project}", Role.CURATE), ("GET", "/crawler?project=p&q=Ada", Role.CURATE)]
    found += [("GET", "/track?project=p&video=x", Role.CURATE), ("GET", "/training-set?project=p", Role.READ)]
    return found


def filled(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: _VALUES.get(found[1], _ABSENT), path)


def test_every_route_asks_for_its_role(api: FastAPI, client: TestClient, archive: Archive) -> None:
    """The matrix: each operation, without a key, with a key of another project, and with each role."""
    by_role = {role: key_of(archive, p=role) for role in Role}
    whole = {role: key_of(archive, every=role) for role in Role}
    other = key_of(archive, q="admin")
    checked = 0
    # What deletes comes last.
    for method, path, needed in sorted(operations(api), key=lambda one: (one[0] == "DELETE", one)):
        if path in ("/healthz", "/readyz"):
            assert client.request(method, path).status_code not in (401, 403), path
            continue
        address, of_project = filled(path), "{project}" in path or "project=" in path
        refused = client.request(method, address)
        assert refused.status_code == 401, (method, path)
        assert problem(refused, 401)
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        if of_project or "{job_id}" in path:
            answer = client.request(method, address, headers=other)
            # A job of a project that is not seen is not there.
            assert answer.status_code == (403 if of_project else 404), (method, path, answer.text)
        for role in Role:
            headers = by_role[role] if of_project or "{job_id}" in path else whole[role]
            if role.includes(needed) and "events" not in path:
                answer = client.request(method, address, headers=headers)
                assert answer.status_code not in (401, 403), (method, path, role, answer.text)
            elif not role.includes(needed):
                assert problem(client.request(method, address, headers=headers), 403), (method, path, role)
            checked += 1
    assert checked > 150


def test_a_route_that_states_nothing_needs_a_role_all_the_same() -> None:
    assert role_of(None, "GET") is Role.READ
    assert role_of({}, "HEAD") is Role.READ
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert role_of({}, method) is Role.CURATE


def test_without_keys_this_machine_alone_is_answered(api: FastAPI, archive: Archive) -> None:
    local = local_client(api)
    assert local.get("/v1/projects").status_code == 200
    assert local.get("/v1/me").json() == {"name": "local", "grants": {"*": "admin"}}
    for header in ({"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}, {"Via": "1.1 proxy"}):
        assert local.get("/v1/projects", headers=header).status_code == 401, "a proxy of this machine asks for others"
    assert local_client(api, peer="10.0.0.7").get("/v1/projects").status_code == 401
    assert local_client(api, peer="10.0.0.7").get("/healthz").status_code != 401
    key = key_of(archive, every="read")
    assert local_client(api, peer="10.0.0.7").get("/v1/projects", headers=key).status_code == 200


def test_the_first_key_locks_the_door_for_all(archive: Archive) -> None:
    with local_client(bare_api(archive)) as local:
        key_id = ok(local.post("/v1/keys", json={"name": "first", "grants": {"*": "admin"}}))["key_id"]
        deadline = time.monotonic() + 10
        while local.get("/v1/projects").status_code != 401:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        archive.store.revoke_key(key_id)
        time.sleep(2.1)
        assert local.get("/v1/projects").status_code == 401, "the door stays locked when the last key has ended"


def test_keys_can_be_asked_for_everywhere(archive: Archive) -> None:
    assert local_client(bare_api(archive, access=AccessConfig(keys=True))).get("/v1/projects").status_code == 401


def test_a_caller_sees_its_own_projects_alone(client: TestClient, archive: Archive) -> None:
    own, every = key_of(archive, q="curate"), key_of(archive, every="read")
    assert [one["name"] for one in ok(client.get("/v1/projects", headers=own))] == ["q"]
    assert client.get("/projects", headers=own).json() == ["q"]
    assert ok(client.get("/v1/jobs", headers=own)) == []
    assert [job["job_id"] for job in ok(client.get("/v1/jobs", headers=every))] == [_VALUES["job_id"]]
    assert client.get("/v1/jobs", params={"project": "p"}, headers=own).status_code == 403
    for beginning in ("j-0", _VALUES["job_id"]):
        assert "no job" in problem(client.get(f"/v1/jobs/{beginning}", headers=own), 404)
    assert problem(client.get("/v1/projects/p/videos", headers=own), 403) == problem(
        client.get("/v1/projects/p/videos", headers=own), 403
    )
    hidden = problem(client.get("/v1/projects/absent/videos", headers=own), 403)
    assert hidden.replace("absent", "p") == problem(client.get("/v1/projects/p/videos", headers=own), 403)
    assert client.put("/v1/projects/r", headers=own).status_code == 403
    address = "http://127.0.0.1/v1/projects/p/videos/v-" + "a" * 16 + "/file"
    assert client.get("/track", params={"project": "q", "video": address}, headers=own).status_code == 403
    assert client.get("/get_locator", params={"video": "v-" + "a" * 16}, headers=own).status_code == 404


def test_no_request_tells_whether_a_project_of_others_is_there(client: TestClient, archive: Archive) -> None:
    mine = key_of(archive, p="admin")
    for method in ("HEAD", "OPTIONS", "GET", "PATCH"):
        for path in ("videos", "nothing", ""):
            there, absent = (
                client.request(method, f"/v1/projects/{project}/{path}".rstrip("/"), headers=mine)
                for project in ("q", "absent")
            )
            assert (there.status_code, absent.status_code) == (403, 403), (method, path)
    assert client.options("/v1/projects/p/videos", headers=mine).status_code == 405


def test_a_key_is_told_once_and_ends(client: TestClient, archive: Archive) -> None:
    admin = key_of(archive, every="admin")
    made = ok(client.post("/v1/keys", headers=admin, json={"name": "nightly", "grants": {"p": "read"}}))
    assert made["expires_at"] == pytest.approx(time.time() + 365 * 24 * 3600, abs=60)
    listed = client.get("/v1/keys", headers=admin)
    assert made["key_id"] in listed.text
    assert made["key"].rpartition("_")[2] not in listed.text
    assert made["key"] not in str(archive.store.list_keys())
    headers = {"X-API-Key": made["key"]}
    assert client.get("/v1/projects/p/videos", headers=headers).status_code == 200
    assert client.post("/v1/keys", headers=headers, json={"name": "mine", "grants": {"*": "admin"}}).status_code == 403
    ok(client.delete(f"/v1/keys/{made['key_id']}", headers=admin))
    assert "revoked" in problem(client.get("/v1/projects/p/videos", headers=headers), 401)
    assert client.post("/v1/keys", headers=admin, json={"name": "x", "grants": {"../p": "read"}}).status_code == 422
    assert client.post("/v1/keys", headers=admin, json={"name": "x", "grants": {"p": "owner"}}).status_code == 422


@pytest.mark.expects_errors  # uvicorn tells of an answer that was left without its end
def test_an_answer_ends_where_its_key_does(
    api: FastAPI, client: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose key is revoked sees nothing more of what it was watching, and no end that would make it whole."""
    monkeypatch.setattr(access, "_ASKED_AGAIN_S", 0.0)
    reader, admin = key_of(archive, p="read"), key_of(archive, every="admin")
    address = f"/v1/jobs/{_VALUES['job_id']}"
    with running(api) as url, httpx.stream("GET", f"{url}{address}/events", headers=reader, trust_env=False) as answer:
        pieces = answer.iter_text()
        assert next(pieces).startswith("event: job")
        (key_id,) = [key.key_id for key in archive.store.list_keys() if dict(key.grants) == {"p": Role.READ}]
        ok(client.delete(f"/v1/keys/{key_id}", headers=admin))
        ok(client.post(f"{address}/cancel", headers=admin))
        with pytest.raises(httpx.RemoteProtocolError):
            "".join(pieces)


def test_a_key_of_others_or_of_another_time_opens_nothing(archive: Archive) -> None:
    row, key = keys.create_key(archive.store, "one", {"*": "read"}, expires_at=time.time() + 1)
    assert keys.find_caller(archive.store, key).name == f"key:{row.key_id}"
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    for given in (wrong, key[:-1], "", "facerec_" + "a" * 12 + "_" + "b" * 43):
        with pytest.raises(UnauthenticatedError):
            keys.find_caller(archive.store, given)
    time.sleep(1.1)
    with pytest.raises(UnauthenticatedError, match="expired"):
        keys.find_caller(archive.store, key)
    assert keys.are_asked_for(archive.store), "the door stays locked when the last key has ended"
    for name, grants in (("", {"*": "read"}), ("two\nlines", {"*": "read"}), ("none", {})):
        with pytest.raises(InputError):
            keys.create_key(archive.store, name, grants)


@pytest.mark.parametrize("how", ["fails", "is silent"])
def test_the_numbers_are_read_while_the_store(
    client: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    reader, other = key_of(archive, every="read"), key_of(archive, every="read")
    assert client.get("/metrics", headers=reader).status_code == 200
    release = threading.Event()

    def fail(*_: Any) -> Any:
        if how == "is silent":
            release.wait(60)
        raise StoreError("the store does not answer")

    monkeypatch.setattr(remembered, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(health, "_FRESH_S", 0.0)
    try:
        with monkeypatch.context() as broken:
            for name in ("get_key", "list_keys", "list_jobs"):
                broken.setattr(type(archive.store), name, fail)
            answer = client.get("/metrics", headers=reader)
            assert answer.status_code == 200
            assert "facerec_store_up 0.0" in answer.text
            # Nobody else, and nothing else.
            problem(client.get("/metrics", headers=other), 503)
            problem(client.get("/metrics"), 503)
            broken.setattr(remembered, "_KEPT_S", 0.0)
            problem(client.get("/metrics", headers=reader), 503)
    finally:
        release.set()
    archive.store.revoke_key(reader["Authorization"].split("_")[1])
    assert client.get("/metrics", headers=reader).status_code == 401


def test_who_asks_too_often_is_told_to_wait(client: TestClient, archive: Archive) -> None:
    _, key = keys.create_key(archive.store, "slow", {"*": "read"}, per_minute=3)
    headers = {"Authorization": f"Bearer {key}"}
    answers = [client.get("/v1/projects", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert client.get("/v1/projects", headers=key_of(archive, every="read")).status_code == 200, "others may ask"


def test_who_guesses_keys_is_told_to_wait(client: TestClient, archive: Archive) -> None:
    key_of(archive, every="read")
    guesses = [{"Authorization": f"Bearer facerec_{'a' * 12}_{i:043d}"} for i in range(31)]
    statuses = [client.get("/v1/projects", headers=guess).status_code for guess in guesses]
    assert statuses == [401] * 30 + [429]


def test_what_is_changed_is_its_callers_doing(client: TestClient, archive: Archive) -> None:
    admin = key_of(archive, p="admin")
    name = client.get("/v1/me", headers=admin).json()["name"]
    ok(client.post(f"/v1/jobs/{_VALUES['job_id']}/cancel", headers={**admin, "X-Request-ID": "r-1"}))
    entry = ok(client.get("/v1/projects/p/audit", headers=admin))[-1]
    assert (entry["actor"], entry["request_id"], entry["action"]) == (name, "r-1", "job-cancelled")
    assert entry["subject"] == _VALUES["job_id"]
    assert ok(client.get("/v1/projects/p/audit", headers=admin, params={"after": entry["number"]})) == []
    assert client.get("/v1/audit", headers=admin).status_code == 403, "that is of no project"
    assert ok(client.get("/v1/audit", headers=key_of(archive, every="admin")))[0]["action"] == "key-created"
    assert check_audit(archive.store, "p") is None
    with acting(Actor("key:other")):
        archive.store.log_action("p", "note")
    assert check_audit(archive.store, "p") is None


# Of an identity provider


class _Provider(BaseHTTPRequestHandler):
    """Gives out public keys."""

    def do_GET(self) -> None:
        body = json.dumps({"keys": self.server.published}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def signing_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "one"}, private=True)


@pytest.fixture
def provider(signing_key: RSAKey) -> Iterator[str]:
    """The address of the public keys of an identity provider."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    server.published = [signing_key.as_dict(private=False)]  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    server.server_close()
    thread.join()


def test_tokens_of_the_identity_provider_are_taken(archive: Archive, provider: str, signing_key: RSAKey) -> None:
    archive.store.create_project("p")
    oidc = OidcConfig(
        issuer="https://id.example",
        audience="facerec",
        keys_url=provider,
        grants={"archivists": {"p": Role.CURATE}, "heads": {"*": Role.ADMIN}},
    )
    claims: dict[str, Any] = {
        "iss": "https://id.example",
        "aud": "facerec",
        "sub": "ada",
        "exp": int(time.time()) + 300,
        "groups": ["archivists", "others"],
    }

    def ask(path: str = "/v1/me", key: RSAKey = signing_key, algorithm: str = "RS256", **changed: Any) -> Any:
        token = jwt.encode({"alg": algorithm, "kid": "one"}, {**claims, **changed}, key)
        return client.get(path, headers={"Authorization": f"Bearer {token}"})

    with local_client(bare_api(archive, access=AccessConfig(oidc=oidc, keys=True))) as client:
        assert ok(ask()) == {"name": "user:ada", "grants": {"p": "curate"}}
        assert ask("/v1/projects/p/videos").status_code == 200
        assert ask("/v1/projects/p/audit").status_code == 403
        assert ask("/v1/projects/p/audit", groups="heads").status_code == 200
        for wrong in (
            {"iss": "https://other.example"},
            {"aud": "another"},
            {"exp": int(time.time()) - 600},
            {"groups": ["others"]},
            {"groups": None},
            {"sub": None},
        ):
            problem(ask(**wrong), 401)
        problem(ask(key=RSAKey.generate_key(2048, {"kid": "one"}, private=True)), 401)
        unsigned = "eyJhbGciOiJub25lIn0." + "e30" + "."
        problem(client.get("/v1/me", headers={"Authorization": f"Bearer {unsigned}"}), 401)


@pytest.mark.parametrize(
    "header",
    [b'{"alg": "RS256", "kid": "one", "crit": 5}', b'{"alg": "RS256", "kid": "one", "crit": [{}]}', b"[" * 5000],
    ids=["critical", "unhashable", "deep"],
)
def test_what_only_resembles_a_token_is_refused(archive: Archive, provider: str, header: bytes) -> None:
    oidc = OidcConfig(
        issuer="https://id.example", audience="facerec", keys_url=provider, grants={"heads": {"*": Role.ADMIN}}
    )
    token = base64.urlsafe_b64encode(header).rstrip(b"=").decode() + ".e30.eA"
    with local_client(bare_api(archive, access=AccessConfig(oidc=oidc, keys=True))) as client:
        problem(client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}), 401)


def test_the_log_of_a_job_tells_no_secret_and_no_place(client: TestClient, archive: Archive) -> None:
    log = archive.files.job_log("p", _VALUES["job_id"])
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"cannot read {archive.files.root}/a of mongodb://ann:hunter2@db/x\n")
    told = client.get(f"/v1/jobs/{_VALUES['job_id']}/log").text
    assert told == "cannot read <home>/a of mongodb://<secret>@db/x\n"


def test_readers_of_a_job_see_no_secret_of_its_webhook(client: TestClient, archive: Archive) -> None:
    hook = Webhook("https://ann:hunter2@hooks.example/ended?token=hunter2")
    archive.store.submit_job(replace(make_job("j-told"), webhook=hook))
    told = ok(client.get("/v1/jobs/j-told"))["webhook"]["url"]
    assert told == "https://<secret>@hooks.example/ended?token=<secret>"
