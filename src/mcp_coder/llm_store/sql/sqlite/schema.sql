-- What all migrations add up to; a test holds them to it. Nothing runs this file.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    native_id TEXT,
    name TEXT,
    title TEXT NOT NULL,
    cwd TEXT,
    project TEXT,
    project_name TEXT,
    config_dir TEXT,
    parent_id TEXT,
    parent_turn INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- 1: it stays when it has no turn: somebody added, named or tagged it.
    kept INTEGER NOT NULL DEFAULT 0,
    last_number INTEGER NOT NULL DEFAULT 0,
    turns INTEGER NOT NULL DEFAULT 0,
    unaccounted_turns INTEGER NOT NULL DEFAULT 0,
    cost_nano INTEGER NOT NULL DEFAULT 0,
    unrecorded_nano INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0
);

-- One index for lists of all, of a provider's and of a project's sessions: every turn writes to it. What a list asks
-- for stands in it, so that the rows of other sessions are not read.
CREATE INDEX sessions_by_time ON sessions (updated_at, provider, project_name);
CREATE INDEX sessions_by_name ON sessions (name) WHERE name IS NOT NULL;
CREATE INDEX sessions_by_parent ON sessions (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE session_tags (
    tag TEXT NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, session)
) WITHOUT ROWID;

CREATE INDEX session_tags_by_session ON session_tags (session);

CREATE TABLE turns (
    -- In the order of the turns' beginning: what is searched comes in it.
    id INTEGER PRIMARY KEY,
    turn_id TEXT NOT NULL UNIQUE,
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    parent_turn_id TEXT,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    cost_nano INTEGER,
    unrecorded_nano INTEGER,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    thinking_tokens INTEGER,
    total_cost_nano INTEGER,
    baseline_nano INTEGER,
    basis TEXT NOT NULL DEFAULT 'unknown',
    reading INTEGER NOT NULL DEFAULT 0,
    model TEXT,
    provider TEXT NOT NULL,
    method TEXT NOT NULL,
    native_id TEXT,
    point TEXT,
    cwd TEXT,
    config_dir TEXT,
    agent_version TEXT NOT NULL,
    mcp_coder_version TEXT NOT NULL,
    host TEXT NOT NULL,
    directory TEXT,
    redactions INTEGER NOT NULL,
    -- Whether its texts are in turn_index: turns get there some at a time, after their end.
    indexed INTEGER NOT NULL DEFAULT 0,
    -- JSON, NULL where there is nothing to say:
    options TEXT,
    carried TEXT,
    notices TEXT,
    error TEXT,
    counter TEXT,
    baseline TEXT,
    UNIQUE (session, number)
);

CREATE INDEX turns_by_time ON turns (started_at);
CREATE INDEX turns_not_indexed ON turns (state, started_at) WHERE NOT indexed;

-- What each model used in a turn, where the agent says.
CREATE TABLE turn_models (
    turn INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    model TEXT NOT NULL,
    cost_nano INTEGER,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    PRIMARY KEY (turn, place)
) WITHOUT ROWID;

CREATE TABLE turn_texts (
    turn INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
    prompt TEXT NOT NULL,
    text TEXT NOT NULL
);

CREATE VIEW indexed_texts AS
SELECT turn_texts.turn, turn_texts.prompt, turn_texts.text
FROM turn_texts JOIN turns ON turns.id = turn_texts.turn WHERE turns.indexed;

-- No positions are kept: words are looked for, never phrases, and the index is a third as large. No sizes either: what
-- is found is ordered by time, not by how well it fits.
CREATE VIRTUAL TABLE turn_index USING fts5 (
    prompt,
    text,
    content = 'indexed_texts',
    content_rowid = 'turn',
    tokenize = 'unicode61 remove_diacritics 2',
    detail = 'none',
    columnsize = 0
);

-- Samples of what agents print, with which zstd compresses the like. Without them turn_raws could not be read.
CREATE TABLE dictionaries (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- The response, and in a second line all that the agent printed: JSON, compressed by zstd with a dictionary.
CREATE TABLE turn_raws (
    turn INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
    dictionary INTEGER NOT NULL REFERENCES dictionaries (id),
    raw BLOB NOT NULL
);
