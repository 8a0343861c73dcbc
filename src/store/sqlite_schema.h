/*
 * sqlite_schema.h - the tables, as a list of migrations: number n brings a store from version n to n + 1.
 *
 * A released migration never changes; docs/store.md says what each table means.
 */
#ifndef FLOW_STORE_SQLITE_SCHEMA_H
#define FLOW_STORE_SQLITE_SCHEMA_H

/* "FlowE" cut to 32 bits: lets `file` and others tell whose database this is. */
enum { SQLITE_APPLICATION_ID = 0x466c6f77 };

static const char *const sqlite_migrations[] = {
    /* 0 → 1 */
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('epoch', 0), ('clean', 1), ('letters_made', 0), ('letters_redriven', 0),"
    " ('letters_consumed', 0), ('letters_deleted', 0), ('letters_expired', 0);"

    "CREATE TABLE workflow (id TEXT PRIMARY KEY, name TEXT NOT NULL, revision INTEGER NOT NULL,"
    " etag TEXT NOT NULL, draft INTEGER NOT NULL, deleted INTEGER NOT NULL, inline_workflow INTEGER NOT NULL,"
    " create_ns INTEGER NOT NULL, update_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE workflow_revision (no INTEGER PRIMARY KEY, workflow_id TEXT NOT NULL,"
    " revision INTEGER NOT NULL, name TEXT NOT NULL, etag TEXT NOT NULL, draft INTEGER NOT NULL,"
    " update_ns INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (workflow_id, revision)) STRICT;"
    "CREATE TABLE workflow_label (workflow_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (workflow_id, key)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE run (no INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " workflow_id TEXT NOT NULL, workflow_name TEXT NOT NULL, workflow_revision INTEGER NOT NULL,"
    " inline_workflow INTEGER NOT NULL, state INTEGER NOT NULL, active INTEGER NOT NULL,"
    " create_ns INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, spec BLOB, status BLOB)"
    " STRICT;"
    "CREATE INDEX run_by_workflow ON run (workflow_id, no);"
    "CREATE UNIQUE INDEX run_active ON run (workflow_id) WHERE active;"
    "CREATE TABLE loop (no INTEGER PRIMARY KEY AUTOINCREMENT, run_no INTEGER NOT NULL,"
    " producer_node_id TEXT NOT NULL, producer_type TEXT NOT NULL, workflow_revision INTEGER NOT NULL,"
    " state INTEGER NOT NULL, ended INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " requeue_interrupted INTEGER NOT NULL, produced INTEGER NOT NULL, done INTEGER NOT NULL,"
    " filtered INTEGER NOT NULL, dead_lettered INTEGER NOT NULL, status BLOB,"
    " UNIQUE (run_no, producer_node_id)) STRICT;"
    "CREATE TABLE node_state (loop_no INTEGER NOT NULL, node_id TEXT NOT NULL, state BLOB NOT NULL,"
    " PRIMARY KEY (loop_no, node_id)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE queue (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " workflow_id TEXT NOT NULL, short_name TEXT NOT NULL, next_seq INTEGER NOT NULL, pushed INTEGER NOT "
    "NULL,"
    " done INTEGER NOT NULL, filtered INTEGER NOT NULL, dead_lettered INTEGER NOT NULL,"
    " removed INTEGER NOT NULL, moved_out INTEGER NOT NULL, max_items INTEGER NOT NULL,"
    " max_bytes INTEGER NOT NULL, paused INTEGER NOT NULL) STRICT;"
    "CREATE TABLE queue_number (no INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL) STRICT;"
    "CREATE TABLE delivery (key INTEGER PRIMARY KEY, payload_id TEXT NOT NULL, push_ns INTEGER NOT NULL,"
    " redelivered INTEGER NOT NULL, redrives INTEGER NOT NULL, size INTEGER NOT NULL, body_id INTEGER,"
    " body BLOB) STRICT;"
    "CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;"
    "CREATE TABLE shared_body (id INTEGER PRIMARY KEY, uses INTEGER NOT NULL) STRICT;"
    "CREATE TABLE reservation (first_key INTEGER PRIMARY KEY, last_key INTEGER NOT NULL,"
    " loop_no INTEGER NOT NULL) STRICT;"
    "CREATE TABLE request (kind INTEGER NOT NULL, id TEXT NOT NULL, hash BLOB NOT NULL,"
    " time_ns INTEGER NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX request_by_time ON request (time_ns);"

    "CREATE TABLE dead_letter (no INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " state INTEGER NOT NULL, workflow_id TEXT NOT NULL, workflow_name TEXT NOT NULL,"
    " workflow_revision INTEGER NOT NULL, run_id TEXT NOT NULL, producer_node_id TEXT NOT NULL,"
    " node_id TEXT NOT NULL, node_type TEXT NOT NULL, queue TEXT NOT NULL, delivery_id INTEGER NOT NULL,"
    " reason TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    " payload_id TEXT NOT NULL, time_ns INTEGER NOT NULL, redrives INTEGER NOT NULL,"
    " redriven_ns INTEGER NOT NULL, redrive_id TEXT NOT NULL, edited_from TEXT NOT NULL, payload BLOB,"
    " input BLOB, form BLOB, details BLOB) STRICT;"
    "CREATE INDEX dead_letter_by_state ON dead_letter (state, no);"
    "CREATE INDEX dead_letter_by_fingerprint ON dead_letter (fingerprint, no);"
    "CREATE INDEX dead_letter_by_workflow ON dead_letter (workflow_id, no);"
    "CREATE INDEX dead_letter_by_run ON dead_letter (run_id, no);",
};

#endif
