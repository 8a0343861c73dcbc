/*
 * sqlite_db.c - the one connection to the database: lock file, settings, migrations, prepared statements, and
 * what an error of SQLite's means.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/id.h"
#include "base/mem.h"
#include "store/sqlite_internal.h"
#include "store/sqlite_schema.h"

static const char *const statement_texts[SQL_COUNT] = {
#define X(name, sql) [SQL_##name] = sql,
    SQLITE_STATEMENTS(X)
#undef X
};

/* ---- errors --------------------------------------------------------------------------------------------- */

FlowStatus flow_sqlite__error(SqliteStore *self, int code, const char *doing, FlowError *reterr,
                              bool *ret_is_storage)
{
    const char *text = self->db != NULL ? sqlite3_errmsg(self->db) : sqlite3_errstr(code);
    *ret_is_storage = true;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return flow_error_set(reterr, FLOW_UNAVAILABLE, "STORE_AWAY", self->url,
                              "the disk is full (%s): make room; the store goes on by itself", doing);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_PERM:
        return flow_error_set(
            reterr, FLOW_UNAVAILABLE, "STORE_AWAY", self->url,
            "the storage fails (%s): %s (SQLite error %d, system error %d); the store tries again", doing,
            text, code, self->db != NULL ? sqlite3_system_errno(self->db) : 0);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return flow_error_set(reterr, FLOW_DATA_LOSS, "STORE_CORRUPT", self->url,
                              "the database is damaged (%s): %s; restore it from a backup", doing, text);
    default:
        *ret_is_storage = false;
        return flow_error_set(reterr, FLOW_INTERNAL, "STORE_FAULT", self->url, "%s: %s (SQLite error %d)",
                              doing, text, code);
    }
}

Result flow_sqlite__fault(SqliteStore *self, int code, const char *doing)
{
    if (self->fault.status == FLOW_OK)
        flow_sqlite__error(self, code, doing, &self->fault, &self->fault_is_storage);
    return FAULT;
}

Result flow_sqlite__fault_text(SqliteStore *self, FlowStatus status, const char *format, ...)
{
    if (self->fault.status == FLOW_OK) {
        va_list args;
        va_start(args, format);
        flow_error_vset(&self->fault, status, "STORE_FAULT", self->url, format, args);
        va_end(args);
        self->fault_is_storage = false;
    }
    return FAULT;
}

Result flow_sqlite__no_memory(SqliteStore *self)
{
    return flow_sqlite__fault_text(self, FLOW_RESOURCE_EXHAUSTED, "there is no memory for the answer");
}

/* ---- statements ----------------------------------------------------------------------------------------- */

static bool begin(SqliteStore *self)
{
    if (self->in_transaction)
        return true;
    sqlite3_stmt *statement = self->statements[SQL_BEGIN];
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE) {
        flow_sqlite__fault(self, code, "beginning a transaction");
        return false;
    }
    self->in_transaction = true;
    return true;
}

sqlite3_stmt *flow_sqlite__statement(SqliteStore *self, StatementId id)
{
    if (self->fault.status != FLOW_OK || !begin(self))
        return NULL;
    if (self->statements[id] == NULL) {
        int code = sqlite3_prepare_v3(self->db, statement_texts[id], -1, SQLITE_PREPARE_PERSISTENT,
                                      &self->statements[id], NULL);
        if (code != SQLITE_OK) {
            flow_sqlite__fault(self, code, statement_texts[id]);
            return NULL;
        }
    }
    return self->statements[id];
}

sqlite3_stmt *flow_sqlite__prepare(SqliteStore *self, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (self->fault.status != FLOW_OK || !begin(self))
        return NULL;
    int code = sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        flow_sqlite__fault(self, code, sql);
        return NULL;
    }
    return statement;
}

int flow_sqlite__step(SqliteStore *self, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return code;
    flow_sqlite__fault(self, code, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return -1;
}

bool flow_sqlite__run(SqliteStore *self, sqlite3_stmt *statement)
{
    int code;
    if (statement == NULL)
        return false;
    while ((code = flow_sqlite__step(self, statement)) == SQLITE_ROW)
        ;
    sqlite3_reset(statement);
    return code == SQLITE_DONE;
}

/* Texts and blobs live until the statement is run, which is always before the caller returns. */
void flow_sqlite__bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, flow_store__text(text), -1, SQLITE_STATIC);
}

void flow_sqlite__bind_blob(sqlite3_stmt *statement, int index, FlowBlob *blob)
{
    size_t len = 0;
    const void *bytes = blob != NULL ? flow_blob_bytes(blob, &len) : NULL;
    if (bytes == NULL)
        sqlite3_bind_null(statement, index);
    else
        sqlite3_bind_blob64(statement, index, bytes, len, SQLITE_STATIC);
}

const char *flow_sqlite__text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text != NULL ? (const char *)text : "";
}

FlowBlob *flow_sqlite__blob(sqlite3_stmt *statement, int column, bool *ret_failed)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return NULL;
    const void *bytes = sqlite3_column_blob(statement, column);
    int len = sqlite3_column_bytes(statement, column);
    FlowBlob *blob = bytes != NULL || len == 0 ? flow_blob_new(bytes, (size_t)len) : NULL;
    if (blob == NULL)
        *ret_failed = true;
    return blob;
}

char *flow_sqlite__result_text(FlowStoreOp *op, sqlite3_stmt *statement, int column, bool *ret_failed)
{
    const char *text = flow_sqlite__text(statement, column);
    char *copy = flow_store__result_text(op, text, strlen(text));
    if (copy == NULL)
        *ret_failed = true;
    return copy;
}

FlowBlob *flow_sqlite__result_blob(FlowStoreOp *op, sqlite3_stmt *statement, int column, bool *ret_failed)
{
    FlowBlob *blob = flow_sqlite__blob(statement, column, ret_failed);
    if (blob != NULL && !flow_store__result_blob(op, blob)) {
        *ret_failed = true;
        return NULL;
    }
    return blob;
}

/* ---- the lock file -------------------------------------------------------------------------------------- */

/*
 * SQLite's own lock would refuse a second process as well, but can't say who has it. The lock goes with the
 * process, however it ends; the file stays.
 */
static FlowStatus lock(SqliteStore *self, FlowError *reterr)
{
    FlowBuf name;
    flow_buf_init(&name, 0);
    flow_buf_printf(&name, "%s.lock", self->path);
    flow_cleanup(flow_freep) char *path = flow_strdup(flow_buf_text(&name));
    flow_buf_done(&name);
    self->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (self->lock_fd < 0)
        return flow_error_set(reterr, errno == EACCES ? FLOW_PERMISSION_DENIED : FLOW_UNAVAILABLE,
                              "STORE_OPEN", path, "cannot open %s: %s", path, strerror(errno));
    char text[32] = "";
    if (flock(self->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t len = pread(self->lock_fd, text, sizeof text - 1, 0);
        return flow_error_set(
            reterr, FLOW_FAILED_PRECONDITION, "STORE_IN_USE", path,
            "the store %s is in use by process %ld: stop that flowd, or give this one a data "
            "directory of its own",
            self->path, len > 0 ? strtol(text, NULL, 10) : 0L);
    }
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(self->lock_fd, 0) != 0 || pwrite(self->lock_fd, text, (size_t)len, 0) != len)
        return flow_error_set(reterr, FLOW_UNAVAILABLE, "STORE_OPEN", path, "cannot write %s: %s", path,
                              strerror(errno));
    return FLOW_OK;
}

/* ---- connecting ----------------------------------------------------------------------------------------- */

static FlowStatus execute(SqliteStore *self, const char *sql, FlowError *reterr)
{
    bool is_storage;
    int code = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? FLOW_OK : flow_sqlite__error(self, code, "opening", reterr, &is_storage);
}

static int64_t pragma(SqliteStore *self, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    if (sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static FlowStatus migrate(SqliteStore *self, FlowError *reterr)
{
    int64_t version = pragma(self, "PRAGMA user_version"),
            application = pragma(self, "PRAGMA application_id");
    if ((application != 0 && application != SQLITE_APPLICATION_ID) ||
        (application == 0 && pragma(self, "SELECT count(*) FROM sqlite_schema") != 0))
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, "STORE_FOREIGN", self->url,
                              "%s is a database of another program: choose another path", self->path);
    if (version > (int64_t)FLOW_COUNT(sqlite_migrations))
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, "STORE_TOO_NEW", self->url,
                              "the store has layout %lld, this flowd knows up to %zu: use the newer flowd",
                              (long long)version, FLOW_COUNT(sqlite_migrations));
    for (; version < (int64_t)FLOW_COUNT(sqlite_migrations); version++) {
        char end[160];
        snprintf(end, sizeof end, "PRAGMA application_id = %d; PRAGMA user_version = %lld; COMMIT",
                 SQLITE_APPLICATION_ID, (long long)version + 1);
        FlowStatus status = execute(self, "BEGIN IMMEDIATE", reterr);
        if (status == FLOW_OK)
            status = execute(self, sqlite_migrations[version], reterr);
        if (status == FLOW_OK && version == 0) {
            char identity[160], uuid[FLOW_UUID_TEXT];
            flow_uuid_make(flow_clock_wall_ns(self->clock), uuid);
            snprintf(identity, sizeof identity, "INSERT INTO meta VALUES ('identity', '%s')", uuid);
            status = execute(self, identity, reterr);
        }
        if (status == FLOW_OK)
            status = execute(self, end, reterr);
        if (status != FLOW_OK) {
            sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
            return status;
        }
    }
    return FLOW_OK;
}

static void configure_library(void)
{
    /* Counting every allocation takes a lock that one connection without mutexes doesn't need. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

FlowStatus flow_sqlite__connect(SqliteStore *self, FlowError *reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_library);
    bool is_storage;
    if (self->path != NULL) {
        FlowStatus status = lock(self, reterr);
        if (status != FLOW_OK)
            return status;
    }
    int code = sqlite3_open_v2(self->path != NULL ? self->path : ":memory:", &self->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return flow_sqlite__error(self, code, "opening", reterr, &is_storage);
    sqlite3_extended_result_codes(self->db, 1);
    /*
     * Exclusive before WAL: then the index of the WAL is kept in this process's memory, and no other process can
     * read or checkpoint behind our back. Memory-mapped reading stays off: an I/O error there is a SIGBUS.
     */
    FlowStatus status =
        execute(self,
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 4096; PRAGMA journal_mode = WAL;"
                "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
                "PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA cache_size = -32768;"
                "PRAGMA temp_store = MEMORY",
                reterr);
    if (status == FLOW_OK)
        status =
            execute(self,
                    self->base.options.durability == FLOW_DURABILITY_POWER ? "PRAGMA synchronous = FULL"
                                                                           : "PRAGMA synchronous = NORMAL",
                    reterr);
    if (status == FLOW_OK)
        status = migrate(self, reterr);
    if (status != FLOW_OK)
        return status;
    code = sqlite3_prepare_v3(self->db, statement_texts[SQL_BEGIN], -1, SQLITE_PREPARE_PERSISTENT,
                              &self->statements[SQL_BEGIN], NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v3(self->db, statement_texts[SQL_COMMIT], -1, SQLITE_PREPARE_PERSISTENT,
                                  &self->statements[SQL_COMMIT], NULL);
    return code == SQLITE_OK ? FLOW_OK : flow_sqlite__error(self, code, "opening", reterr, &is_storage);
}

void flow_sqlite__disconnect(SqliteStore *self)
{
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(self->statements[i]);
    memset(self->statements, 0, sizeof self->statements);
    sqlite3_close(self->db);
    self->db = NULL;
    if (self->lock_fd >= 0)
        close(self->lock_fd);
    self->lock_fd = -1;
}
