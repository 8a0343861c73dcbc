/* trial_internal.h - one workflow test, from its file to its verdict; for src/trial only. */
#ifndef FLOW_TRIAL_TRIAL_INTERNAL_H
#define FLOW_TRIAL_TRIAL_INTERNAL_H

#include <pthread.h>

#include "base/buf.h"
#include "engine/engine.h"
#include "engine/node.h"
#include "store/store.h"
#include "value/value.h"

/* One test. Values are references of its own. */
typedef struct TrialCase {
    char *name;
    FlowValue workflow; /* the definition */
    FlowValue spec;     /* the test's object */
} TrialCase;

typedef struct TrialFile {
    const char *path;
    TrialCase *cases;
    size_t case_count;
} TrialFile;

/* Reads and checks; what is wrong goes to `problems`, a line each. */
bool trial_file_read(TrialFile *file, const char *path, FlowBuf *problems);
void trial_file_done(TrialFile *file);

/* What a node did, in order. */
typedef struct TrialRecord {
    char *node_id;
    char *branch; /* NULL: the branch ended, or nothing was produced */
    FlowValue data;
} TrialRecord;

typedef struct TrialStage TrialStage;

/* Node types that play mocks, give inputs, and note what nodes give; `spec` is borrowed. NULL and *reterr. */
TrialStage *trial_stage_new(FlowValue spec, FlowError *reterr);
void trial_stage_free(TrialStage *stage); /* when no engine uses it any more */
FlowRegistry *trial_stage_registry(TrialStage *stage);
size_t trial_stage_count(TrialStage *stage);
/* Borrowed; when the engine is closed. */
const TrialRecord *trial_stage_records(TrialStage *stage, size_t *ret_count);

/* Performs it; failures go to `failures`, a line each. True: it passed. */
bool trial_perform(const TrialCase *test, FlowBuf *failures);

/* What came of it. */
typedef struct TrialOutcome {
    FlowStore *store;
    TrialStage *stage;
    const char *state; /* of the run; "" when it did not start */
    const char *error; /* why it did not start; "" */
} TrialOutcome;

/* Compares with the test's `expect`. */
void trial_judge(const TrialCase *test, const TrialOutcome *outcome, FlowBuf *failures);

/* NULL when there is no such member, or it is null. */
const FlowValue *trial_get(FlowValue object, const char *key);

#endif
