-- 001_first: the whole schema. Runs before any code has run; in one transaction.
--
-- Live holds what is unfinished and stays small; finished is appended to. What a live row's flags mean is told in
-- store/port.py. `slot` and `stretch` are computed: they cost no room in the row, and the number of slots can be raised by
-- a new index alone.

CREATE TABLE live (
    seq          INTEGER PRIMARY KEY,               -- rises for ever, also when the table is empty; see store/sqlite/tally.py
    token        BLOB    NOT NULL,
    queue_id     INTEGER NOT NULL,
    task_id      INTEGER NOT NULL,
    hash16       INTEGER NOT NULL,
    slot         INTEGER NOT NULL GENERATED ALWAYS AS (hash16 >> 6) VIRTUAL,
    priority     INTEGER NOT NULL,
    stretch      INTEGER NOT NULL GENERATED ALWAYS AS ((seq >> 14) - priority * 274877906944) VIRTUAL,
    key          TEXT,
    head         INTEGER NOT NULL,
    ready        INTEGER NOT NULL,
    alone        INTEGER NOT NULL DEFAULT 0,
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    fence        INTEGER NOT NULL DEFAULT 0,
    yielded      INTEGER NOT NULL DEFAULT 0,        -- the last fence under which an outcome that was not final was recorded
    attempts     INTEGER NOT NULL DEFAULT 0,
    crashes      INTEGER NOT NULL DEFAULT 0,
    holder       INTEGER,
    due_at       INTEGER,                           -- only while it lies ahead and has not been staged
    ready_at     INTEGER,                           -- of a job with a key: when its turn came
    claimed_at   INTEGER,
    expires_at   INTEGER,
    submitted_at INTEGER NOT NULL,
    codec        INTEGER NOT NULL,
    meta         BLOB,
    payload      BLOB    NOT NULL
);

CREATE UNIQUE INDEX live_token ON live (token);

-- A stretch is 16,384 consecutive numbers of one priority, higher priorities first. It comes before the slot so that what is
-- submitted together, and claimed together, lies together: with the slot first, a million waiting jobs made every batch of
-- 1,000 dirty 950 pages (47,000 jobs/s claimed and settled instead of 81,000).
CREATE INDEX live_claimable ON live (queue_id, stretch, slot, seq, task_id) WHERE ready AND holder IS NULL AND NOT alone;

-- What was running when its worker died comes before all that waits, whatever its slot: few rows, and most of the time none.
CREATE INDEX live_interrupted ON live (queue_id, stretch, seq) WHERE crashes > 0 AND ready AND holder IS NULL AND NOT alone;

-- A second head of a key is an error and not a double run.
CREATE UNIQUE INDEX live_head ON live (queue_id, key) WHERE head;
CREATE INDEX live_line ON live (queue_id, key, due_at, seq) WHERE NOT head AND key IS NOT NULL;
CREATE INDEX live_due ON live (queue_id, slot, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX live_alone ON live (seq) WHERE alone;
CREATE INDEX live_expires ON live (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE finished (
    no              INTEGER PRIMARY KEY,            -- the order of settling, so that pruning reads from the front
    token           BLOB    NOT NULL,
    state           INTEGER NOT NULL,
    queue_id        INTEGER NOT NULL,
    task_id         INTEGER NOT NULL,
    hash16          INTEGER NOT NULL,
    priority        INTEGER NOT NULL,
    key             TEXT,
    fence           INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    crashes         INTEGER NOT NULL,
    yielded         INTEGER NOT NULL,               -- as in live: what is repeated late is still known
    worker          INTEGER,
    submitted_at    INTEGER NOT NULL,
    started_at      INTEGER,
    settled_at      INTEGER NOT NULL,
    codec           INTEGER NOT NULL,
    meta            BLOB,
    error_type      TEXT,
    error_message   TEXT,
    error_traceback TEXT,
    result          BLOB,
    payload         BLOB    NOT NULL
);

CREATE UNIQUE INDEX finished_token ON finished (token);
CREATE INDEX finished_unwell ON finished (state, token) WHERE state <> 0;

CREATE TABLE history (
    token           BLOB    NOT NULL,
    fence           INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    worker          INTEGER,
    state           INTEGER,                        -- of a reopened job: how it had ended
    started_at      INTEGER,
    error_type      TEXT,
    error_message   TEXT,
    error_traceback TEXT,
    PRIMARY KEY (token, fence, kind)                -- what is told twice is told once
) WITHOUT ROWID;

CREATE TABLE claims (
    no     INTEGER PRIMARY KEY AUTOINCREMENT,       -- never used again: a repeated settle must not drop a newer claim
    worker INTEGER NOT NULL,
    tokens BLOB    NOT NULL                         -- 16 bytes each
);

CREATE INDEX claims_worker ON claims (worker, no);

CREATE TABLE nodes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL,
    proof         TEXT    NOT NULL,
    host          TEXT    NOT NULL,
    lease_ms      INTEGER NOT NULL,
    counter       INTEGER NOT NULL DEFAULT 0,
    registered_at INTEGER NOT NULL,
    closed_at     INTEGER
);

CREATE UNIQUE INDEX nodes_open ON nodes (name) WHERE closed_at IS NULL;

CREATE TABLE workers (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id       INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    proof         TEXT    NOT NULL,
    queues        TEXT    NOT NULL,                 -- JSON lists of names
    tasks         TEXT    NOT NULL,
    weight        INTEGER NOT NULL,
    is_alone      INTEGER NOT NULL,
    is_draining   INTEGER NOT NULL DEFAULT 0,
    pid           INTEGER NOT NULL,
    registered_at INTEGER NOT NULL,
    closed_at     INTEGER
);

CREATE UNIQUE INDEX workers_open ON workers (name) WHERE closed_at IS NULL;

CREATE TABLE queues (
    id        INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL UNIQUE,
    is_paused INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE tasks (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- 0: the seq up to which unfinished jobs are counted, and no job with a higher one has left; a queue's id: its unfinished jobs up
-- to there; -1 - state: finished jobs of that state. One page, which a settle writes and a submit does not.
CREATE TABLE counters (
    id INTEGER PRIMARY KEY,
    n  INTEGER NOT NULL
);

CREATE TABLE house (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    epoch        INTEGER NOT NULL,
    orchestrator INTEGER
);

INSERT INTO house (id, epoch) VALUES (1, 1);
INSERT INTO counters (id, n) VALUES (0, 0), (-1, 0), (-2, 0), (-3, 0), (-4, 0);
