"""The SQLite tables. Their columns bear the names of the fields in `serving.store.*rows`.

No statement contains a semicolon but at its end.
"""

from __future__ import annotations

TABLES = """
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    embedder TEXT,
    version INTEGER NOT NULL,
    max_false_names REAL,
    policy TEXT NOT NULL DEFAULT '{}'
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
    catalogue TEXT,
    PRIMARY KEY (project, video_id)
) STRICT;

CREATE TABLE analyses (
    analysis_id TEXT NOT NULL,
    project TEXT NOT NULL,
    video_id TEXT NOT NULL,
    key TEXT NOT NULL,
    embedder TEXT NOT NULL,
    summary TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (project, analysis_id),
    FOREIGN KEY (project, video_id) REFERENCES videos ON DELETE CASCADE
) STRICT;
CREATE INDEX analyses_by_video ON analyses (project, video_id, embedder, created_at);

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
    due_at REAL,
    submitted_by TEXT
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
    is_hidden INTEGER NOT NULL,
    PRIMARY KEY (project, stranger_id),
    UNIQUE (project, number)
) STRICT;

CREATE INDEX strangers_by_merge ON strangers (project, merged_into) WHERE merged_into IS NOT NULL;

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
CREATE INDEX stranger_tracks_by_stranger ON stranger_tracks (project, stranger_id, analysis_id, track_id);

CREATE TABLE appearances (
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    first_track INTEGER NOT NULL,
    video_id TEXT NOT NULL,
    decision TEXT NOT NULL,
    owner TEXT,
    first_shot INTEGER NOT NULL,
    last_shot INTEGER NOT NULL,
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    score REAL NOT NULL,
    is_confirmed INTEGER NOT NULL,
    track_ids TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (project, analysis_id, first_track),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX appearances_by_owner ON appearances
    (project, owner, video_id, start_s, first_track, analysis_id, decision, score, is_confirmed, end_s, first_shot, last_shot,
    track_ids);
CREATE INDEX appearances_by_video ON appearances (project, video_id, start_s, first_track);

CREATE TABLE named_tracks (
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    edit INTEGER NOT NULL,
    version INTEGER NOT NULL,
    max_false_names REAL NOT NULL,
    floor REAL NOT NULL,
    is_contended INTEGER NOT NULL,
    names TEXT NOT NULL,
    decisions BLOB NOT NULL,
    reasons BLOB NOT NULL,
    owners BLOB NOT NULL,
    besides BLOB NOT NULL,
    confirmed BLOB NOT NULL,
    scores BLOB NOT NULL,
    chosen BLOB NOT NULL,
    PRIMARY KEY (project, edit, analysis_id),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE
) STRICT;
CREATE INDEX named_tracks_by_analysis ON named_tracks (project, analysis_id);

CREATE TABLE edits (
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    number INTEGER NOT NULL,
    cause TEXT NOT NULL,
    note TEXT NOT NULL,
    version INTEGER NOT NULL,
    model_version TEXT,
    max_false_names REAL,
    former_model TEXT,
    former_max_false_names REAL,
    former_embedder TEXT,
    created_at REAL NOT NULL,
    can_undo INTEGER NOT NULL,
    undone_at REAL,
    carried TEXT NOT NULL,
    renamed TEXT,
    PRIMARY KEY (project, number)
) STRICT;

CREATE TABLE former_rows (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    row TEXT,
    PRIMARY KEY (project, number, kind, key),
    FOREIGN KEY (project, number) REFERENCES edits ON DELETE CASCADE
) STRICT;

CREATE TABLE track_columns (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    analysis_id TEXT NOT NULL,
    tracks INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    arrays BLOB NOT NULL,
    UNIQUE (project, analysis_id),
    FOREIGN KEY (project, analysis_id) REFERENCES analyses ON DELETE CASCADE
) STRICT;
CREATE INDEX track_columns_by_position ON track_columns (project, position);

CREATE TABLE stranger_sums (
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    block INTEGER NOT NULL,
    stranger_ids TEXT NOT NULL,
    counts BLOB NOT NULL,
    totals BLOB NOT NULL,
    PRIMARY KEY (project, block)
) STRICT;
"""

# Those of 20, which an older store is given when it is upgraded. A trigger's semicolon would be the end of its statement.
ACCESS_TABLES = """
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    grants TEXT NOT NULL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    per_minute INTEGER
) STRICT;

CREATE TABLE audit (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT,
    action TEXT NOT NULL,
    subject TEXT,
    details TEXT NOT NULL,
    chain TEXT NOT NULL,
    PRIMARY KEY (project, number)
) STRICT;

CREATE TABLE person_notes (
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    person_id TEXT NOT NULL,
    consent TEXT NOT NULL,
    expires_at REAL,
    updated_at REAL NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (project, person_id)
) STRICT;
"""
# Nobody changes what was written.
TRIGGERS = tuple(
    f"CREATE TRIGGER audit_stays_{verb.lower()} BEFORE {verb} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END"
    for verb in ("UPDATE", "DELETE")
)


# What brings the tables of a schema to those of the next, by the schema that is there. Each adds, and takes nothing away: a program of
# the schema before that runs already goes on.
UPGRADES: dict[int, tuple[str, ...]] = {
    19: (
        "ALTER TABLE projects ADD COLUMN policy TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE jobs ADD COLUMN submitted_by TEXT",
        *ACCESS_TABLES.split(";"),
        *TRIGGERS,
    ),
}
