"""The SQLite tables. Their columns bear the names of the fields in `serving.store.*rows`.

No statement contains a semicolon but at its end.
"""

from __future__ import annotations

TABLES = """
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    embedder TEXT
) STRICT;

CREATE TABLE faces (
    face_id TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    person_id TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    quality REAL NOT NULL,
    embedder TEXT NOT NULL,
    embedding BLOB,
    crop TEXT,
    created_at REAL NOT NULL,
    source TEXT,
    fetched_at REAL,
    by_hand INTEGER NOT NULL,
    PRIMARY KEY (project, face_id)
) STRICT;
CREATE INDEX faces_by_person ON faces (project, person_id, path, status);

CREATE TABLE models (
    version TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    created_at REAL NOT NULL,
    embedder TEXT NOT NULL,
    classifier TEXT NOT NULL,
    people INTEGER NOT NULL,
    faces INTEGER NOT NULL,
    directory TEXT NOT NULL,
    metrics TEXT NOT NULL,
    PRIMARY KEY (project, version)
) STRICT;

CREATE TABLE promotions (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    version TEXT NOT NULL,
    FOREIGN KEY (project, version) REFERENCES models ON DELETE CASCADE
) STRICT;
CREATE INDEX promotions_by_model ON promotions (project, version);

CREATE TABLE videos (
    video_id TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    uri TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (project, video_id)
) STRICT;

CREATE TABLE analyses (
    analysis_id TEXT NOT NULL,
    project TEXT NOT NULL,
    video_id TEXT NOT NULL,
    key TEXT NOT NULL,
    embedder TEXT NOT NULL,
    summary TEXT NOT NULL,
    revision TEXT,
    created_at REAL NOT NULL,
    PRIMARY KEY (project, analysis_id),
    FOREIGN KEY (project, video_id) REFERENCES videos ON DELETE CASCADE
) STRICT;
CREATE INDEX analyses_by_video ON analyses (project, video_id, embedder, created_at);
CREATE INDEX analyses_by_revision ON analyses (project, revision);

CREATE TABLE tracks (
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    track_id INTEGER NOT NULL,
    shot INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    embedded INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    arrays BLOB NOT NULL,
    PRIMARY KEY (project, analysis_id, track_id),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE
) STRICT;

CREATE TABLE revisions (
    revision TEXT NOT NULL,
    project TEXT NOT NULL,
    model_version TEXT NOT NULL,
    max_false_names REAL NOT NULL,
    created_at REAL NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (project, revision),
    FOREIGN KEY (project, model_version) REFERENCES models ON DELETE CASCADE
) STRICT;
CREATE INDEX revisions_by_model ON revisions (project, model_version);

CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    progress REAL NOT NULL,
    segments TEXT NOT NULL,
    error TEXT,
    video_id TEXT,
    owner TEXT,
    lease_until REAL NOT NULL,
    attempt INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    key TEXT,
    webhook TEXT,
    due_at REAL
) STRICT;
CREATE INDEX jobs_by_project ON jobs (project, created_at);
CREATE INDEX jobs_by_state ON jobs (state, kind, created_at);
CREATE UNIQUE INDEX jobs_by_key ON jobs (key) WHERE key IS NOT NULL;
CREATE INDEX jobs_by_due ON jobs (kind, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE corrections (
    correction_id TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    kind TEXT NOT NULL,
    person_id TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    track_id INTEGER NOT NULL,
    embedder TEXT NOT NULL,
    embedding BLOB NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (project, correction_id)
) STRICT;
CREATE INDEX corrections_by_person ON corrections (project, person_id);
CREATE INDEX corrections_by_track ON corrections (project, analysis_id, track_id);

CREATE TABLE strangers (
    stranger_id TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    number INTEGER NOT NULL,
    created_at REAL NOT NULL,
    merged_into TEXT,
    person_id TEXT,
    PRIMARY KEY (project, stranger_id),
    UNIQUE (project, number)
) STRICT;

CREATE TABLE stranger_tracks (
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    track_id INTEGER NOT NULL,
    stranger_id TEXT NOT NULL,
    embedding BLOB NOT NULL,
    PRIMARY KEY (project, analysis_id, track_id),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE,
    FOREIGN KEY (project, stranger_id) REFERENCES strangers ON DELETE CASCADE
) STRICT;
CREATE INDEX stranger_tracks_by_stranger ON stranger_tracks (project, stranger_id);

CREATE TABLE appearances (
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    video_id TEXT NOT NULL,
    decision TEXT NOT NULL,
    owner TEXT,
    first_shot INTEGER NOT NULL,
    last_shot INTEGER NOT NULL,
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    probability REAL NOT NULL,
    false_name_rate REAL NOT NULL,
    track_ids TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (project, analysis_id, position),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX appearances_by_owner ON appearances
    (project, owner, video_id, start_s, position, probability, end_s, first_shot, last_shot);
CREATE INDEX appearances_by_video ON appearances (project, video_id, start_s, position);

CREATE TABLE applications (
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    number INTEGER NOT NULL,
    revision TEXT NOT NULL,
    model_version TEXT NOT NULL,
    max_false_names REAL NOT NULL,
    cause TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at REAL NOT NULL,
    undo BLOB,
    undone_at REAL,
    PRIMARY KEY (project, number)
) STRICT;

CREATE TABLE track_vectors (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    track_ids BLOB NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (project, analysis_id),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE
) STRICT;
CREATE INDEX track_vectors_by_position ON track_vectors (project, position)
"""
