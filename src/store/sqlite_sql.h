/*
 * sqlite_sql.h - every fixed statement of the SQLite store, prepared on first use and kept. Those with filters
 * are put together where they are used.
 */
#ifndef FLOW_STORE_SQLITE_SQL_H
#define FLOW_STORE_SQLITE_SQL_H

#define SQLITE_QUEUE_COLUMNS                                                                                 \
    "no, name, kind, workflow_id, short_name, next_seq, pushed, done, filtered, dead_lettered, removed, "    \
    "moved_out, max_items, max_bytes, paused"
#define SQLITE_RUN_COLUMNS                                                                                   \
    "no, id, workflow_id, workflow_name, workflow_revision, inline_workflow, state, active, create_ns, "     \
    "start_ns, end_ns, spec, status"
#define SQLITE_LOOP_COLUMNS                                                                                  \
    "no, run_no, producer_node_id, workflow_revision, state, ended, status, produced, done, filtered, "      \
    "dead_lettered"
#define SQLITE_LETTER_COLUMNS                                                                                \
    "no, id, state, workflow_id, workflow_name, workflow_revision, run_id, producer_node_id, node_id, "      \
    "node_type, queue, delivery_id, reason, code, message, fingerprint, payload_id, time_ns, redrives, "     \
    "redriven_ns, redrive_id, edited_from"
#define SQLITE_BODY "CASE WHEN body_id IS NULL THEN body ELSE (SELECT data FROM body WHERE id = body_id) END"

#define SQLITE_STATEMENTS(X)                                                                                 \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                              \
    X(COMMIT, "COMMIT")                                                                                      \
    X(META_GET, "SELECT value FROM meta WHERE key = ?1")                                                     \
    X(META_SET, "INSERT INTO meta (key, value) VALUES (?1, ?2) "                                             \
                "ON CONFLICT DO UPDATE SET value = excluded.value")                                          \
    X(META_ADD, "UPDATE meta SET value = value + ?2 WHERE key = ?1")                                         \
    /* deliveries */                                                                                         \
    X(DELIVERY_INSERT, "INSERT INTO delivery (key, payload_id, push_ns, redelivered, redrives, size, "       \
                       "body_id, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                             \
    X(DELIVERY_DELETE, "DELETE FROM delivery WHERE key BETWEEN ?1 AND ?2")                                   \
    X(DELIVERY_READ, "SELECT key, payload_id, push_ns, redelivered, redrives, size, body_id, " SQLITE_BODY   \
                     " FROM delivery WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3")                     \
    X(DELIVERY_SUM, "SELECT count(*), coalesce(sum(size), 0) FROM delivery WHERE key BETWEEN ?1 AND ?2")     \
    X(DELIVERY_FIRST, "SELECT key, push_ns FROM delivery WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1")  \
    X(DELIVERY_REQUEUE, "UPDATE delivery SET redelivered = redelivered + 1 WHERE key BETWEEN ?1 AND ?2")     \
    X(DELIVERY_BODIES, "SELECT body_id, count(*) FROM delivery WHERE body_id IS NOT NULL AND "               \
                       "key BETWEEN ?1 AND ?2 GROUP BY body_id")                                             \
    X(BODY_INSERT, "INSERT INTO body (id, data) VALUES (?1, ?2)")                                            \
    X(BODY_DELETE, "DELETE FROM body WHERE id = ?1")                                                         \
    X(BODY_LAST, "SELECT coalesce(max(id), 0) FROM body")                                                    \
    X(SHARED_ALL, "SELECT id, uses FROM shared_body")                                                        \
    X(SHARED_SET, "INSERT OR REPLACE INTO shared_body (id, uses) VALUES (?1, ?2)")                           \
    X(SHARED_DELETE, "DELETE FROM shared_body WHERE id = ?1")                                                \
    X(RESERVATION_SET, "INSERT INTO reservation (first_key, last_key, loop_no) VALUES (?1, ?2, ?3) "         \
                       "ON CONFLICT DO UPDATE SET last_key = excluded.last_key")                             \
    X(RESERVATION_DELETE, "DELETE FROM reservation WHERE first_key = ?1")                                    \
    X(RESERVATION_ALL, "SELECT r.first_key, r.last_key, r.loop_no, l.producer_node_id, l.producer_type, "    \
                       "l.workflow_revision, l.requeue_interrupted, n.id, n.workflow_id, n.workflow_name "   \
                       "FROM reservation r LEFT JOIN loop l ON l.no = r.loop_no LEFT JOIN run n ON n.no = "  \
                       "l.run_no ORDER BY r.first_key")                                                      \
    /* queues */                                                                                             \
    X(QUEUE_ALL, "SELECT " SQLITE_QUEUE_COLUMNS " FROM queue ORDER BY no")                                   \
    X(QUEUE_BY_NAME, "SELECT " SQLITE_QUEUE_COLUMNS " FROM queue WHERE name = ?1")                           \
    X(QUEUE_PAGE, "SELECT " SQLITE_QUEUE_COLUMNS " FROM queue WHERE name > ?1 AND name >= ?2 AND (?3 = '' "  \
                  "OR workflow_id = ?3) ORDER BY name LIMIT ?4")                                             \
    X(QUEUE_INSERT, "INSERT INTO queue (no, name, kind, workflow_id, short_name, next_seq, pushed, done, "   \
                    "filtered, dead_lettered, removed, moved_out, max_items, max_bytes, paused) VALUES "     \
                    "(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0, 0, 0, ?7, ?8, 0)")                                 \
    X(QUEUE_UPDATE, "UPDATE queue SET next_seq = ?2, pushed = ?3, done = ?4, filtered = ?5, dead_lettered "  \
                    "= ?6, removed = ?7, moved_out = ?8, max_items = ?9, max_bytes = ?10, paused = ?11 "     \
                    "WHERE no = ?1")                                                                         \
    X(QUEUE_DELETE, "DELETE FROM queue WHERE no = ?1")                                                       \
    X(QUEUE_LAST, "SELECT max((SELECT coalesce(max(no), 0) FROM queue), (SELECT coalesce(max(no), 0) FROM "  \
                  "queue_number))")                                                                          \
    X(NUMBER_TAKE, "DELETE FROM queue_number WHERE no = (SELECT min(no) FROM queue_number) RETURNING no, "   \
                   "next_seq")                                                                               \
    X(NUMBER_KEEP, "INSERT INTO queue_number (no, next_seq) VALUES (?1, ?2)")                                \
    /* requests */                                                                                           \
    X(REQUEST_GET, "SELECT hash, time_ns, number, text FROM request WHERE kind = ?1 AND id = ?2")            \
    X(REQUEST_SET, "INSERT OR REPLACE INTO request (kind, id, hash, time_ns, number, text) VALUES (?1, ?2, " \
                   "?3, ?4, ?5, ?6)")                                                                        \
    X(REQUEST_PRUNE, "DELETE FROM request WHERE time_ns < ?1")                                               \
    /* loops */                                                                                              \
    X(LOOP_GET, "SELECT " SQLITE_LOOP_COLUMNS " FROM loop WHERE run_no = ?1 AND producer_node_id = ?2")      \
    X(LOOP_OF_RUN, "SELECT " SQLITE_LOOP_COLUMNS " FROM loop WHERE run_no = ?1 ORDER BY no")                 \
    X(LOOP_ALL, "SELECT " SQLITE_LOOP_COLUMNS ", (SELECT id FROM run WHERE run.no = run_no) FROM loop "      \
                "ORDER BY no")                                                                               \
    X(LOOP_INSERT, "INSERT INTO loop (run_no, producer_node_id, producer_type, workflow_revision, state, "   \
                   "ended, epoch, requeue_interrupted, produced, done, filtered, dead_lettered) VALUES "     \
                   "(?1, ?2, ?3, ?4, 0, 0, ?5, ?6, 0, 0, 0, 0)")                                             \
    X(LOOP_OWN, "UPDATE loop SET producer_type = ?2, workflow_revision = ?3, epoch = ?4, "                   \
                "requeue_interrupted = ?5 WHERE no = ?1")                                                    \
    X(LOOP_COUNT, "UPDATE loop SET produced = ?2, done = ?3, filtered = ?4, dead_lettered = ?5 WHERE no = "  \
                  "?1")                                                                                      \
    X(LOOP_ADD_DEAD, "UPDATE loop SET produced = produced + ?2, dead_lettered = dead_lettered + ?2 WHERE "   \
                     "no = ?1")                                                                              \
    X(LOOP_SAVE, "UPDATE loop SET state = ?2, ended = ?3, workflow_revision = ?4, status = ?5 WHERE no = "   \
                 "?1")                                                                                       \
    X(STATE_ALL, "SELECT node_id, state FROM node_state WHERE loop_no = ?1 ORDER BY node_id")                \
    X(STATE_SET, "INSERT INTO node_state (loop_no, node_id, state) VALUES (?1, ?2, ?3) ON CONFLICT DO "      \
                 "UPDATE SET state = excluded.state")                                                        \
    X(STATE_DELETE, "DELETE FROM node_state WHERE loop_no = ?1 AND node_id = ?2")                            \
    /* runs */                                                                                               \
    X(RUN_GET, "SELECT " SQLITE_RUN_COLUMNS " FROM run WHERE id = ?1")                                       \
    X(RUN_ACTIVE, "SELECT id FROM run WHERE workflow_id = ?1 AND active")                                    \
    X(RUN_ACTIVE_COUNT, "SELECT count(*) FROM run WHERE active")                                             \
    X(RUN_INSERT,                                                                                            \
      "INSERT INTO run (id, workflow_id, workflow_name, workflow_revision, inline_workflow, "                \
      "state, active, create_ns, start_ns, end_ns, spec) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, "            \
      "0, 0, ?8)")                                                                                           \
    X(RUN_SAVE, "UPDATE run SET state = ?2, active = ?3, workflow_revision = ?4, start_ns = ?5, end_ns = "   \
                "?6, status = ?7 WHERE no = ?1")                                                             \
    X(RUN_DELETE, "DELETE FROM run WHERE no = ?1")                                                           \
    X(RUN_DELETE_STATES, "DELETE FROM node_state WHERE loop_no IN (SELECT no FROM loop WHERE run_no = ?1)")  \
    X(RUN_DELETE_LOOPS, "DELETE FROM loop WHERE run_no = ?1")                                                \
    X(RUN_OF_WORKFLOW, "SELECT 1 FROM run WHERE workflow_id = ?1 LIMIT 1")                                   \
    /* workflows */                                                                                          \
    X(WORKFLOW_GET, "SELECT name, revision, etag, draft, deleted, inline_workflow, create_ns, update_ns "    \
                    "FROM workflow WHERE id = ?1")                                                           \
    X(WORKFLOW_SET,                                                                                          \
      "INSERT INTO workflow (id, name, revision, etag, draft, deleted, inline_workflow, "                    \
      "create_ns, update_ns) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8) ON CONFLICT DO UPDATE "              \
      "SET name = ?2, revision = ?3, etag = ?4, draft = ?5, deleted = 0, inline_workflow = "                 \
      "?6, create_ns = ?7, update_ns = ?8")                                                                  \
    X(WORKFLOW_MARK_DELETED, "UPDATE workflow SET deleted = 1 WHERE id = ?1")                                \
    X(WORKFLOW_DELETE, "DELETE FROM workflow WHERE id = ?1")                                                 \
    X(WORKFLOW_COUNT, "SELECT count(*) FROM workflow WHERE NOT deleted AND NOT inline_workflow")             \
    X(REVISION_GET, "SELECT name, etag, draft, update_ns, body FROM workflow_revision WHERE workflow_id = "  \
                    "?1 AND revision = ?2")                                                                  \
    X(REVISION_SET, "INSERT INTO workflow_revision (workflow_id, revision, name, etag, draft, update_ns, "   \
                    "body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                             \
    X(REVISION_PAGE, "SELECT revision, name, etag, draft, update_ns FROM workflow_revision WHERE "           \
                     "workflow_id = ?1 AND revision < ?2 ORDER BY revision DESC LIMIT ?3")                   \
    X(REVISION_PRUNE, "DELETE FROM workflow_revision WHERE workflow_id = ?1 AND revision <= ?2 AND "         \
                      "revision NOT IN (SELECT workflow_revision FROM run WHERE workflow_id = ?1 UNION "     \
                      "SELECT l.workflow_revision FROM loop l JOIN run r ON r.no = l.run_no WHERE "          \
                      "r.workflow_id = ?1)")                                                                 \
    X(REVISION_DELETE_ALL, "DELETE FROM workflow_revision WHERE workflow_id = ?1")                           \
    X(LABEL_ALL, "SELECT key, value FROM workflow_label WHERE workflow_id = ?1 ORDER BY key")                \
    X(LABEL_SET, "INSERT OR REPLACE INTO workflow_label (workflow_id, key, value) VALUES (?1, ?2, ?3)")      \
    X(LABEL_DELETE_ALL, "DELETE FROM workflow_label WHERE workflow_id = ?1")                                 \
    /* dead letters */                                                                                       \
    X(LETTER_BY_ID, "SELECT " SQLITE_LETTER_COLUMNS ", payload, input, form, details FROM dead_letter "      \
                    "WHERE id = ?1")                                                                         \
    X(LETTER_EXISTS, "SELECT 1 FROM dead_letter WHERE id = ?1")                                              \
    X(LETTER_INSERT, "INSERT INTO dead_letter (id, state, workflow_id, workflow_name, workflow_revision, "   \
                     "run_id, producer_node_id, node_id, node_type, queue, delivery_id, reason, code, "      \
                     "message, fingerprint, payload_id, time_ns, redrives, redriven_ns, redrive_id, "        \
                     "edited_from, payload, input, form, details) VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, "   \
                     "?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 0, '', ?18, ?19, ?20, ?21, ?22)")      \
    X(LETTER_DELETE, "DELETE FROM dead_letter WHERE id = ?1 RETURNING state")                                \
    X(LETTER_OPEN_COUNT, "SELECT count(*) FROM dead_letter WHERE state = 1")

#endif
