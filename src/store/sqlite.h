/* sqlite.h - the embedded store, "sqlite:PATH" (docs/store.md). */
#ifndef FLOW_STORE_SQLITE_H
#define FLOW_STORE_SQLITE_H

#include "store/store_backend.h"

extern const FlowStoreBackend flow_store_sqlite;

#endif
