-- 001_first: everything that the engine keeps. Run before the new code.
--
-- Live holds unfinished jobs only and stays small and hot; finished is append-only. A claim changes no indexed column
-- (ready stays true while a job is held), so that it is a HOT update: fillfactor leaves room for it on the same page.
-- Instants are microseconds since 1970. Autovacuum comes after so many dead rows, not after a share of the table, and does not
-- try to give the table's end back to the disk: among so many writers it waits five seconds for that lock, in vain.

-- The two limits are those of jobs that are submitted from SQL; programs bring their own.
CREATE TABLE house (
    is_only           boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    epoch             bigint NOT NULL DEFAULT 1,
    orchestrator      bigint,
    payload_bytes_max integer NOT NULL DEFAULT 262144 CHECK (payload_bytes_max BETWEEN 1 AND 16777216),
    waiting_max       bigint NOT NULL DEFAULT 10000000 CHECK (waiting_max >= 1)
);
INSERT INTO house DEFAULT VALUES;

CREATE TABLE queues (
    id        smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL UNIQUE,
    is_paused boolean NOT NULL DEFAULT false
);

CREATE TABLE tasks (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- seq has no cache: a cached sequence gives a later job the lower number, and the key's order is lost. Whoever may insert a job
-- may number it; to draw a number harms nobody.
-- place is place_of(priority, seq), and slot the top ten bits of hash16. Every insert computes them: as generated columns they
-- would be parsed and planned anew by every statement that inserts or updates a job, a tenth of what a lone submit takes.
-- due_at is set only while it lies ahead (or has not been staged yet).
-- recorded is the highest fence whose outcome was written without removing the row (retry, snooze, given back, reopened):
-- a settle that comes a second time finds it there.
CREATE SEQUENCE live_seq CACHE 1;
GRANT USAGE ON SEQUENCE live_seq TO PUBLIC;

CREATE TABLE live (
    token        uuid PRIMARY KEY,
    seq          bigint NOT NULL,
    place        bigint NOT NULL,
    due_at       bigint,
    expires_at   bigint,
    holder       bigint,
    claimed_at   bigint,
    ready_at     bigint,
    submitted_at bigint NOT NULL,
    fence        bigint NOT NULL DEFAULT 0,
    recorded     bigint NOT NULL DEFAULT -1,
    task_id      integer NOT NULL,
    hash16       integer NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    crashes      integer NOT NULL DEFAULT 0,
    queue_id     smallint NOT NULL,
    slot         smallint NOT NULL,
    priority     smallint NOT NULL,
    codec        smallint NOT NULL,
    head         boolean NOT NULL DEFAULT false,
    ready        boolean NOT NULL,
    alone        boolean NOT NULL DEFAULT false,
    cancel_asked boolean NOT NULL DEFAULT false,
    key          text,
    payload      bytea NOT NULL,
    meta         bytea
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off
);
ALTER SEQUENCE live_seq OWNED BY live.seq;
CREATE INDEX live_ready ON live (queue_id, slot, place) WHERE ready AND NOT alone;
CREATE INDEX live_ranked ON live (queue_id, slot, place) WHERE ready AND NOT alone AND priority <> 0;
CREATE INDEX live_interrupted ON live (queue_id, place) WHERE ready AND NOT alone AND crashes > 0;
CREATE UNIQUE INDEX live_head ON live (queue_id, key) WHERE head;
CREATE INDEX live_line ON live (queue_id, key, seq) WHERE NOT head AND key IS NOT NULL AND due_at IS NULL;
CREATE INDEX live_due ON live (queue_id, slot, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX live_alone ON live (seq) WHERE alone;
CREATE INDEX live_expires ON live (expires_at) WHERE expires_at IS NOT NULL;

-- Keys to look at, and since when one of their jobs could have been claimed.
-- No unique key: a second arrival of the same key would wait for a stranger's transaction.
CREATE TABLE turns (
    queue_id smallint NOT NULL,
    slot     smallint NOT NULL,
    key      text NOT NULL,
    since    bigint NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);
CREATE INDEX turns_slot ON turns (queue_id, slot);

-- Partitions by the token itself, which begins with its time: a look-up by token opens one of them, and retention drops one
-- whole. make_partitions makes them; finished_rest takes what none was made for, so that no settle fails for the lack of one.
CREATE TABLE finished (
    token        uuid PRIMARY KEY,
    seq          bigint NOT NULL,
    submitted_at bigint NOT NULL,
    started_at   bigint,
    settled_at   bigint NOT NULL,
    expires_at   bigint,
    fence        bigint NOT NULL,
    recorded     bigint NOT NULL,
    worker       bigint,
    task_id      integer NOT NULL,
    hash16       integer NOT NULL,
    attempts     integer NOT NULL,
    crashes      integer NOT NULL,
    queue_id     smallint NOT NULL,
    priority     smallint NOT NULL,
    codec        smallint NOT NULL,
    state        smallint NOT NULL,
    cancel_asked boolean NOT NULL,
    key          text,
    payload      bytea NOT NULL,
    meta         bytea,
    result       bytea,
    failure      bytea
) PARTITION BY RANGE (token);
CREATE TABLE finished_rest PARTITION OF finished DEFAULT;
CREATE INDEX finished_unwell ON finished (token) WHERE state <> 0;

-- state is that of a job when it was reopened: a settle of that run which is repeated later finds itself there.
CREATE TABLE history (
    token      uuid NOT NULL,
    fence      bigint NOT NULL,
    kind       text NOT NULL,
    no         bigint GENERATED ALWAYS AS IDENTITY,
    at         bigint NOT NULL,
    worker     text NOT NULL DEFAULT '',
    failure    bytea,
    started_at bigint,
    state      smallint,
    PRIMARY KEY (token, fence, kind)
);

CREATE TABLE nodes (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    proof         text NOT NULL,
    host          text NOT NULL,
    lease_ms      integer NOT NULL,
    registered_at bigint NOT NULL,
    closed_at     bigint
);
CREATE UNIQUE INDEX nodes_name ON nodes (name) WHERE closed_at IS NULL;

-- The counter has a row of its own, so that a renewal does not wait for those who look whether the node is open.
CREATE TABLE leases (
    node_id   bigint PRIMARY KEY REFERENCES nodes,
    counter   bigint NOT NULL DEFAULT 0,
    is_closed boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE TABLE workers (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id       bigint NOT NULL REFERENCES nodes,
    name          text NOT NULL,
    proof         text NOT NULL,
    queues        text[] NOT NULL,
    tasks         text[] NOT NULL,
    weight        integer NOT NULL,
    is_alone      boolean NOT NULL,
    is_draining   boolean NOT NULL DEFAULT false,
    pid           integer NOT NULL,
    registered_at bigint NOT NULL,
    closed_at     bigint
);
CREATE UNIQUE INDEX workers_name ON workers (name) WHERE closed_at IS NULL;

-- One row a claim: what a dead worker held is found in these few rows, without a look at a million live ones.
CREATE TABLE claims (
    worker bigint NOT NULL,
    no     bigint GENERATED ALWAYS AS IDENTITY,
    tokens uuid[] NOT NULL,
    PRIMARY KEY (worker, no)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off
);

-- The way in for triggers and for other languages: public, so its name, its parameters and its identity never change, and
-- views and defaults may depend on it. What it does is in submit_from_sql, which is made anew with all other functions.
-- It runs with the rights of its owner, and nobody may call it who was not let: so a role that only submits needs no right
-- on any table of ours.
CREATE FUNCTION submit(
    task text, arguments jsonb DEFAULT '{}', key text DEFAULT NULL, queue text DEFAULT 'default', delay interval DEFAULT NULL,
    at timestamptz DEFAULT NULL, priority integer DEFAULT 0, expires timestamptz DEFAULT NULL, token uuid DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    RETURN submit_from_sql(NULL, task, arguments, key, queue, delay, at, priority, expires, token);
END
$$;
ALTER FUNCTION submit SET search_path FROM CURRENT;
REVOKE EXECUTE ON FUNCTION submit FROM PUBLIC;
COMMENT ON FUNCTION submit IS 'Submit a job to rota within this transaction: it exists if and only if this commits.';
