-- The statements of the SQLite store, by name. "{name}" stands for another text of this file, or for what the caller
-- puts there: "{which}" for conditions on sessions, "{key}" for what a sum is made for, "{shares}" for what is summed.

-- name: begin_writing
BEGIN IMMEDIATE

-- name: begin_reading
BEGIN

-- name: commit
COMMIT

-- name: rollback
ROLLBACK

-- name: read_meta
SELECT value FROM meta WHERE key = ?

-- name: write_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value


-- The journal ---------------------------------------------------------------------------------------------------

-- name: session_to_write
SELECT id, last_number, parent_id, parent_turn FROM sessions WHERE session_id = ?

-- name: insert_session
INSERT INTO sessions (
    session_id, provider, native_id, name, title, cwd, project, project_name, config_dir, parent_id, parent_turn,
    created_at, updated_at, kept, last_number, turns
) VALUES (
    :session_id, :provider, :native_id, :name, :title, :cwd, :project, :project_name, :config_dir, :parent_id,
    :parent_turn, :created_at, :updated_at, :kept, :number, :number
)

-- name: session_goes_on
UPDATE sessions SET
    native_id = coalesce(:native_id, native_id),
    name = coalesce(name, :name),
    title = CASE WHEN title = '' THEN :title ELSE title END,
    cwd = coalesce(cwd, :cwd),
    project = coalesce(project, :project),
    project_name = coalesce(project_name, :project_name),
    config_dir = coalesce(:config_dir, config_dir),
    parent_id = coalesce(parent_id, :parent_id),
    parent_turn = coalesce(parent_turn, :parent_turn),
    created_at = min(created_at, :created_at),
    updated_at = max(updated_at, :updated_at),
    last_number = :number,
    turns = turns + 1
WHERE id = :session

-- name: highest_key
SELECT max(id) FROM turns WHERE id BETWEEN ? AND ?

-- name: insert_turn
INSERT INTO turns (
    id, turn_id, session, number, parent_turn_id, state, started_at, model, provider, method, native_id, cwd, config_dir,
    agent_version, mcp_coder_version, host, directory, redactions, options, carried,
    baseline
) VALUES (
    :turn, :turn_id, :session, :number, :parent_turn_id, :state, :started_at, :model, :provider, :method, :native_id, :cwd,
    :config_dir, :agent_version, :mcp_coder_version, :host, :directory, :redactions, :options, :carried,
    :baseline
)

-- name: insert_texts
INSERT INTO turn_texts (turn, prompt, text) VALUES (:turn, :prompt, :text)

-- name: count_to_index
SELECT count(*) FROM turns WHERE NOT indexed AND {ended}

-- name: ended
turns.state IN ('succeeded', 'failed', 'interrupted', 'unknown')

-- name: index_texts
INSERT INTO turn_index (rowid, prompt, text)
SELECT turn_texts.turn, turn_texts.prompt, turn_texts.text
FROM turns CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE NOT turns.indexed AND {ended} ORDER BY turns.id

-- name: note_indexed
UPDATE turns SET indexed = 1 WHERE NOT indexed AND {ended}

-- name: unindex_texts_of_session
INSERT INTO turn_index (turn_index, rowid, prompt, text)
SELECT 'delete', turn_texts.turn, turn_texts.prompt, turn_texts.text
FROM turns JOIN turn_texts ON turn_texts.turn = turns.id
WHERE turns.session = :session AND turns.indexed

-- name: turn_to_write
SELECT id, session, number, state, {summed} FROM turns WHERE turn_id = ?

-- name: summed
cost_nano, unrecorded_nano, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens

-- name: end_turn
UPDATE turns SET
    state = :state,
    ended_at = :ended_at,
    native_id = coalesce(:native_id, native_id),
    point = :point,
    redactions = redactions + :redactions,
    notices = :notices,
    error = :error,
    counter = :counter,
    {usage_set}
WHERE id = :turn

-- name: usage_set
    cost_nano = :cost_nano,
    unrecorded_nano = :unrecorded_nano,
    input_tokens = :input_tokens,
    output_tokens = :output_tokens,
    cache_read_tokens = :cache_read_tokens,
    cache_write_tokens = :cache_write_tokens,
    thinking_tokens = :thinking_tokens,
    total_cost_nano = :total_cost_nano,
    baseline_nano = :baseline_nano,
    basis = :basis,
    reading = :reading,
    model = coalesce(:model, model)

-- name: reread_turn
UPDATE turns SET {usage_set} WHERE id = :turn

-- name: answer_text
UPDATE turn_texts SET text = :text WHERE turn = :turn

-- name: insert_raw
INSERT INTO turn_raws (turn, dictionary, raw) VALUES (:turn, :dictionary, :raw)

-- name: delete_models
DELETE FROM turn_models WHERE turn = :turn

-- name: insert_model
INSERT INTO turn_models (
    turn, place, model, cost_nano, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
) VALUES (
    :turn, :place, :model, :cost_nano, :input_tokens, :output_tokens, :cache_read_tokens, :cache_write_tokens
)

-- name: session_sums_follow
UPDATE sessions SET
    native_id = coalesce(:native_id, native_id),
    updated_at = max(updated_at, :ended_at),
    unaccounted_turns = unaccounted_turns + :unaccounted_turns,
    cost_nano = cost_nano + :cost_nano,
    unrecorded_nano = unrecorded_nano + :unrecorded_nano,
    input_tokens = input_tokens + :input_tokens,
    output_tokens = output_tokens + :output_tokens,
    cache_read_tokens = cache_read_tokens + :cache_read_tokens,
    cache_write_tokens = cache_write_tokens + :cache_write_tokens
WHERE id = :session

-- name: delete_turn
DELETE FROM turns WHERE id = :turn

-- name: session_lost_turn
UPDATE sessions SET
    turns = turns - 1,
    last_number = coalesce((SELECT max(number) FROM turns WHERE session = :session), 0),
    updated_at = coalesce(
        (SELECT max(max(started_at, coalesce(ended_at, started_at))) FROM turns WHERE session = :session), created_at
    ),
    title = CASE WHEN turns = 1 THEN '' ELSE title END
WHERE id = :session

-- name: delete_session_left_empty
DELETE FROM sessions WHERE id = :session AND turns = 0 AND NOT kept

-- name: rename_session
UPDATE sessions SET name = :name, kept = 1 WHERE id = :session

-- name: keep_session
UPDATE sessions SET kept = 1 WHERE id = :session

-- name: add_tag
INSERT INTO session_tags (session, tag) VALUES (:session, :tag) ON CONFLICT DO NOTHING

-- name: remove_tag
DELETE FROM session_tags WHERE session = :session AND tag = :tag

-- name: delete_session
DELETE FROM sessions WHERE id = :session

-- name: overwrite_deleted
PRAGMA secure_delete = ON

-- name: overwrite_as_usual
PRAGMA secure_delete = FAST


-- What a turn goes on from --------------------------------------------------------------------------------------

-- name: turn_by_number
SELECT number, turn_id FROM turns WHERE session = :session AND number = :number

-- name: turn_by_point
SELECT number, turn_id FROM turns WHERE session = :session AND point = :point

-- name: last_ended_turn
SELECT number, turn_id FROM turns WHERE session = :session AND state <> 'started' ORDER BY number DESC LIMIT 1


-- Reading sessions ----------------------------------------------------------------------------------------------

-- name: session_columns
sessions.session_id, sessions.provider, sessions.native_id, sessions.name, sessions.title,
    (SELECT group_concat(tag, char(31)) FROM session_tags WHERE session_tags.session = sessions.id),
    sessions.cwd, sessions.project, sessions.config_dir, sessions.parent_id, sessions.parent_turn,
    sessions.created_at, sessions.updated_at, sessions.turns, sessions.cost_nano, sessions.unaccounted_turns,
    sessions.unrecorded_nano, sessions.input_tokens, sessions.output_tokens, sessions.cache_read_tokens,
    sessions.cache_write_tokens

-- name: session
SELECT {session_columns} FROM sessions WHERE session_id = ?

-- name: newest_sessions
SELECT {session_columns} FROM sessions WHERE {which} {newest_first} LIMIT :limit

-- name: newest_session_keys
SELECT id FROM sessions WHERE {which} {newest_first} LIMIT :limit

-- name: newest_first
ORDER BY updated_at DESC, provider DESC, project_name DESC, id DESC

-- name: sessions_by_key
SELECT {session_columns} FROM json_each(:keys) AS wanted CROSS JOIN sessions ON sessions.id = wanted.value
ORDER BY wanted.key

-- name: sessions_like
SELECT {session_columns} FROM sessions
WHERE id IN (
    SELECT id FROM sessions WHERE session_id >= :beginning AND session_id < :behind
    UNION SELECT id FROM sessions WHERE name = :beginning
)
{newest_first} LIMIT :limit


-- Reading turns -------------------------------------------------------------------------------------------------

-- name: turn_columns
turns.id, turns.turn_id, sessions.session_id, turns.number, turns.parent_turn_id, turns.state, turns.started_at,
    turns.ended_at, turns.cost_nano, turns.unrecorded_nano, turns.input_tokens, turns.output_tokens,
    turns.cache_read_tokens, turns.cache_write_tokens, turns.thinking_tokens, turns.total_cost_nano,
    turns.baseline_nano, turns.basis, turns.reading, turns.model, turns.provider, turns.method, turns.native_id,
    turns.point, turns.cwd, turns.config_dir, turns.agent_version, turns.mcp_coder_version, turns.host,
    turns.directory, turns.redactions, turns.options, turns.carried, turns.notices, turns.error, turns.counter,
    turns.baseline, turn_texts.prompt, turn_texts.text

-- name: model_columns
turn_models.turn, turn_models.model, turn_models.cost_nano, turn_models.input_tokens, turn_models.output_tokens,
    turn_models.cache_read_tokens, turn_models.cache_write_tokens

-- name: turns_onwards
SELECT {turn_columns}
FROM sessions CROSS JOIN turns ON turns.session = sessions.id CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE sessions.session_id = :session_id AND turns.number > :behind ORDER BY turns.number LIMIT :limit

-- name: turns_backwards
SELECT {turn_columns}
FROM sessions CROSS JOIN turns ON turns.session = sessions.id CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE sessions.session_id = :session_id AND turns.number < :before ORDER BY turns.number DESC LIMIT :limit

-- name: number_before_newest
SELECT turns.number FROM sessions CROSS JOIN turns ON turns.session = sessions.id
WHERE sessions.session_id = :session_id ORDER BY turns.number DESC LIMIT 1 OFFSET :newest

-- name: models_between
SELECT {model_columns}
FROM sessions CROSS JOIN turns ON turns.session = sessions.id CROSS JOIN turn_models ON turn_models.turn = turns.id
WHERE sessions.session_id = :session_id AND turns.number BETWEEN :first AND :last
ORDER BY turn_models.turn, turn_models.place

-- name: models_of_turn
SELECT {model_columns} FROM turn_models WHERE turn = ? ORDER BY place

-- name: turn
SELECT {turn_columns}
FROM turns CROSS JOIN sessions ON sessions.id = turns.session CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE turns.turn_id = ?

-- name: unfinished_turns
SELECT {turn_columns}
FROM turns CROSS JOIN sessions ON sessions.id = turns.session CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE NOT turns.indexed AND turns.state = 'started' AND (turns.started_at, turns.id) > (:behind, :key)
ORDER BY turns.started_at, turns.id LIMIT :limit

-- name: unfinished_turns_of_session
SELECT {turn_columns}
FROM turns CROSS JOIN sessions ON sessions.id = turns.session CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE NOT turns.indexed AND turns.state = 'started' AND sessions.session_id = :session_id AND (turns.started_at, turns.id) > (:behind, :key)
ORDER BY turns.started_at, turns.id LIMIT :limit

-- name: raw
SELECT turn_raws.raw, dictionaries.data
FROM turns LEFT JOIN turn_raws ON turn_raws.turn = turns.id
    LEFT JOIN dictionaries ON dictionaries.id = turn_raws.dictionary
WHERE turns.turn_id = ?


-- Searching -----------------------------------------------------------------------------------------------------

-- name: search
SELECT turns.id, sessions.session_id, turns.turn_id, turns.number, turns.started_at,
    CAST(snippet(turn_index, -1, char(2), char(3), '…', 16) AS BLOB)
FROM turn_index CROSS JOIN turns ON turns.id = turn_index.rowid CROSS JOIN sessions ON sessions.id = turns.session
WHERE turn_index MATCH :words AND turn_index.rowid < :before AND {which}
ORDER BY turn_index.rowid DESC LIMIT :limit

-- name: not_indexed
SELECT turns.id, sessions.session_id, turns.turn_id, turns.number, turns.started_at,
    turn_texts.prompt, turn_texts.text
FROM turns INDEXED BY turns_not_indexed
    CROSS JOIN sessions ON sessions.id = turns.session CROSS JOIN turn_texts ON turn_texts.turn = turns.id
WHERE NOT turns.indexed AND turns.id < :before AND {which}
ORDER BY turns.id DESC LIMIT :most


-- Summing -------------------------------------------------------------------------------------------------------

-- name: first_start
SELECT min(started_at) FROM turns WHERE started_at >= :since AND started_at < :until

-- name: usage_of_turns
SELECT {key}, '', count(*), sum(turns.state <> 'started' AND turns.cost_nano IS NULL), sum(turns.cost_nano),
    sum(turns.unrecorded_nano), sum(turns.input_tokens), sum(turns.output_tokens), sum(turns.cache_read_tokens),
    sum(turns.cache_write_tokens)
FROM {turns} WHERE {which} GROUP BY 1

-- name: usage_of_sessions
SELECT {key}, '', sum(sessions.turns), sum(sessions.unaccounted_turns), sum(sessions.cost_nano),
    sum(sessions.unrecorded_nano), sum(sessions.input_tokens), sum(sessions.output_tokens),
    sum(sessions.cache_read_tokens), sum(sessions.cache_write_tokens)
FROM sessions WHERE sessions.turns > 0 AND {which} GROUP BY 1

-- name: usage_of_models
SELECT {key}, coalesce(turn_models.model, turns.model, ''), count(*),
    sum(turns.state <> 'started' AND {cost_of_model} IS NULL), sum({cost_of_model}), NULL,
    sum(coalesce(turn_models.input_tokens, turns.input_tokens)),
    sum(coalesce(turn_models.output_tokens, turns.output_tokens)),
    sum(coalesce(turn_models.cache_read_tokens, turns.cache_read_tokens)),
    sum(coalesce(turn_models.cache_write_tokens, turns.cache_write_tokens))
FROM {turns} LEFT JOIN turn_models ON turn_models.turn = turns.id WHERE {which} GROUP BY 1, 2

-- name: cost_of_model
CASE WHEN turn_models.turn IS NULL THEN turns.cost_nano ELSE turn_models.cost_nano END

-- name: all_turns
turns CROSS JOIN sessions ON sessions.id = turns.session

-- name: turns_by_period
json_each(:periods) AS period
    CROSS JOIN turns ON turns.started_at >= json_extract(period.value, '$[1]')
        AND turns.started_at < json_extract(period.value, '$[2]')
    CROSS JOIN sessions ON sessions.id = turns.session

-- name: in_tree
sessions.session_id IN (
    WITH RECURSIVE tree (session_id) AS (
        VALUES (:tree_of)
        UNION SELECT fork.session_id FROM tree CROSS JOIN sessions AS fork ON fork.parent_id = tree.session_id
    )
    SELECT session_id FROM tree
)


-- Checking ------------------------------------------------------------------------------------------------------

-- name: counts
SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM turns),
    (SELECT count(*) FROM turns WHERE state = 'started')

-- name: check_index
INSERT INTO turn_index (turn_index, rank) VALUES ('integrity-check', :with_texts)

-- name: turns_without_texts
SELECT turn_id FROM turns WHERE id NOT IN (SELECT turn FROM turn_texts)

-- name: wrong_sums
SELECT sessions.session_id
FROM sessions LEFT JOIN (
    SELECT session, count(*) AS turns, max(number) AS last_number, sum(cost_nano) AS cost_nano,
        sum(unrecorded_nano) AS unrecorded_nano, sum(state <> 'started' AND cost_nano IS NULL) AS unaccounted_turns,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens
    FROM turns GROUP BY session
) AS summed ON summed.session = sessions.id
WHERE (
    sessions.turns, sessions.last_number, sessions.cost_nano, sessions.unrecorded_nano, sessions.unaccounted_turns,
    sessions.input_tokens, sessions.output_tokens, sessions.cache_read_tokens, sessions.cache_write_tokens
) IS NOT (
    coalesce(summed.turns, 0), coalesce(summed.last_number, 0), coalesce(summed.cost_nano, 0),
    coalesce(summed.unrecorded_nano, 0), coalesce(summed.unaccounted_turns, 0), coalesce(summed.input_tokens, 0),
    coalesce(summed.output_tokens, 0), coalesce(summed.cache_read_tokens, 0), coalesce(summed.cache_write_tokens, 0)
)
LIMIT :limit
