PRAGMA user_version = 19;
BEGIN TRANSACTION;
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
INSERT INTO "edits" VALUES('p',1,'promotion','',2,'m',NULL,NULL,NULL,NULL,1.79617041532914161689e+09,1,NULL,'[]',NULL);
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
INSERT INTO "faces" VALUES('f','p','Ada_Lovelace','Ada_Lovelace/f.jpg','abababababababababababababababababababababababababababababababab','taken',NULL,0.7,'dlib',X'69F0B03E9155523F0C2FA93EDBCDA6BF67C5673F358BE43EC47509BF28C4143F3CA9BA3E8998963EC3D5E83C62F50B3F41883CBFDED126BE58D8F6BEFC4D193FA6B3223DE4BC95BE272B48BFB4AE83BEC866053CD31B8DBEE2A3A53F58DC803FB0832DC030CBF1BF75F732BE5729D8BE3BC55A3EA4895E3EAC8A0740B2568EBF7255C1BEC5BC0240548E253F85BE293FEC9503BF21F4D2BFE17B2B3EC742DF3DDF199DBFF1E72EBFA38B93BD3EDB71BFC441C9BD9B8CC33DE0C2113D559C01BFE0FF173F8423643F3B46A43E897751BF904D3B3F605E00BFAC10613F543089BF861A6A3F1D5CA4BC01D79FBF6EB7A0BE5A9A5D3D4EAB8B3EAE707BBF66BE8DBFE35F4C3ECEF9EEBE6228713EDF6F423F770BD3BF293F823E3BC19C3F705598BE8B914FBF0D93403FBEC3813E9858653F1DC0B0BE39ACBDBF534DE1BD9643E4BE9F7B463FB047463EABBFD0BF1BFB98BF0040623F15052E3FFDE623BFC67789BA3822E43EB1D2EF3E6951603F1652833E5C35C2BDBC8784BE9522873FFF0D10C0A9FB0DBE1E2B073DD671B6BF8C66AA3E5ABA26BF2FC95C3F369B00BEA04D2B3F11039C3F590FC43E432F60BF31D5C1BFE46EE03F29EDE3BDCB4530BF21B8133E550144BEFF255A3F47F80A3DEF45613CB2EE36BF3B6BF03EBF5584BFBB772A3F6210C33FE928C3BFB3D61DC0C4EB1D3FC21023404E1E80BFCC16A0BFABC6163F','f.jpg',1.5,NULL,NULL,0);
CREATE TABLE former_rows (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    row TEXT,
    PRIMARY KEY (project, number, kind, key),
    FOREIGN KEY (project, number) REFERENCES edits ON DELETE CASCADE
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
    due_at REAL
) STRICT;
INSERT INTO "jobs" VALUES('j','p','video','queued','{"uri": "file:///\u00fc.mp4", "fragment": [0.5, 2.0], "sampling": null}',1.0,1.0,0.0,'[]',NULL,NULL,NULL,0.0,0,0,0,NULL,NULL,0.0);
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
INSERT INTO "models" VALUES('m','p',1.0,'dlib','prototype',3,40,'models/m','{"fnir": 0.1, "by_person": {"Zo\u00eb": [1, 2, null]}}');
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
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    embedder TEXT,
    version INTEGER NOT NULL,
    max_false_names REAL
) STRICT;
INSERT INTO "projects" VALUES('p',1.79617041531259846688e+09,NULL,2,NULL);
CREATE TABLE promotions (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    version TEXT NOT NULL,
    FOREIGN KEY (project, version) REFERENCES models ON DELETE CASCADE
) STRICT;
INSERT INTO "promotions" VALUES(1,'p','m');
CREATE TABLE stranger_sums (
    project TEXT NOT NULL REFERENCES projects ON DELETE CASCADE,
    block INTEGER NOT NULL,
    stranger_ids TEXT NOT NULL,
    counts BLOB NOT NULL,
    totals BLOB NOT NULL,
    PRIMARY KEY (project, block)
) STRICT
;
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
INSERT INTO "videos" VALUES('v','p','file:///v.mp4','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','v.mp4','videos/x',1.0,NULL);
CREATE INDEX faces_by_person ON faces (project, person_id, path, status);
CREATE INDEX promotions_by_model ON promotions (project, version);
CREATE INDEX analyses_by_video ON analyses (project, video_id, embedder, created_at);
CREATE INDEX jobs_by_project ON jobs (project, created_at);
CREATE INDEX jobs_by_state ON jobs (state, kind, created_at);
CREATE UNIQUE INDEX jobs_by_key ON jobs (key) WHERE key IS NOT NULL;
CREATE INDEX jobs_by_due ON jobs (kind, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX corrections_by_person ON corrections (project, person_id);
CREATE INDEX corrections_by_track ON corrections (project, analysis_id, track_id);
CREATE INDEX strangers_by_merge ON strangers (project, merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX stranger_tracks_by_stranger ON stranger_tracks (project, stranger_id, analysis_id, track_id);
CREATE INDEX appearances_by_owner ON appearances
    (project, owner, video_id, start_s, first_track, analysis_id, decision, score, is_confirmed, end_s, first_shot, last_shot,
    track_ids);
CREATE INDEX appearances_by_video ON appearances (project, video_id, start_s, first_track);
CREATE INDEX named_tracks_by_analysis ON named_tracks (project, analysis_id);
CREATE INDEX track_columns_by_position ON track_columns (project, position);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('promotions',1);
COMMIT;
