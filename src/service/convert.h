/*
 * convert.h - plain structs of the engine and the store to messages of the contract.
 *
 * Messages are made in an arena and borrow texts from what they are made of: encode them before either goes. When the
 * arena is full, `failed` is set and what could not be made is NULL; look at it once, at the end.
 */
#ifndef FLOW_SERVICE_CONVERT_H
#define FLOW_SERVICE_CONVERT_H

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "base/arena.h"
#include "engine/analyzer.h"
#include "engine/events.h"
#include "engine/problem.h"
#include "engine/view.h"
#include "flowengine/v1/analysis.pb-c.h"
#include "flowengine/v1/dead_letter.pb-c.h"
#include "flowengine/v1/event.pb-c.h"
#include "flowengine/v1/payload.pb-c.h"
#include "flowengine/v1/problem.pb-c.h"
#include "flowengine/v1/run.pb-c.h"

typedef struct FlowPb {
    FlowArena *arena;
    bool failed;
} FlowPb;

/* `size` bytes that `init` has filled in. */
void *flow_pb_make(FlowPb *pb, size_t size, void (*init)(void *message));
#define FLOW_PB(pb, Type, init) ((Type *)flow_pb_make(pb, sizeof(Type), (void (*)(void *))init))
/* An array of `count` pointers, zeroed; NULL for none. */
void **flow_pb_list(FlowPb *pb, size_t count);
char *flow_pb_text(FlowPb *pb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the const that protobuf-c's structs don't have; NULL becomes "". */
char *flow_pb_borrow(const char *text);

Google__Protobuf__Timestamp *flow_pb_time(FlowPb *pb, int64_t wall_ns); /* 0: NULL */
Google__Protobuf__Duration *flow_pb_duration(FlowPb *pb, int64_t ns);
/* Nanoseconds; what lies beyond int64 is cut to it. NULL: `otherwise`. */
int64_t flow_time_from_pb(const Google__Protobuf__Timestamp *time, int64_t otherwise);
int64_t flow_duration_from_pb(const Google__Protobuf__Duration *duration, int64_t otherwise);

/* The bytes of a Struct. Paths of integers that became strings are added to *paths (may be NULL), behind `field`. */
ProtobufCBinaryData flow_pb_struct(FlowPb *pb, FlowValue object, const char *field, FlowValue *paths);
/*
 * Sets a Struct field, which in generated code is a `bytes` member of a oneof of its own, so that {} differs from nothing:
 * FLOW_PB_SET_STRUCT(payload, PAYLOAD, data, DATA, bytes).
 */
#define FLOW_PB_SET_STRUCT(message, MESSAGE, field, FIELD, bytes_)                                           \
    do {                                                                                                     \
        (message)->has_##field##_case = FLOWENGINE__V1__##MESSAGE##__HAS_##FIELD##_##FIELD;                  \
        (message)->field = (bytes_);                                                                         \
    } while (0)
/* The paths as repeated strings. `paths` must live as long as the message. */
void flow_pb_paths(FlowPb *pb, FlowValue paths, size_t *ret_count, char ***ret_texts);
/* Struct to value: {} where there is none. */
FlowStatus flow_value_from_pb(ProtobufCBinaryData bytes, const char *field, FlowValue *ret_object,
                              FlowError *reterr);

Flowengine__V1__Payload *flow_pb_payload(FlowPb *pb, const char *id, FlowValue data, FlowValue metadata);
/* UNSPECIFIED for a reason that the contract doesn't know. */
Flowengine__V1__DeadLetter__Reason flow_pb_reason(const char *reason);
/* NULL when nothing has failed. */
Flowengine__V1__Failure *flow_pb_failure(FlowPb *pb, const FlowFailureView *failure);
Flowengine__V1__Run *flow_pb_run(FlowPb *pb, const FlowRunView *view);
Flowengine__V1__RunEvent *flow_pb_event(FlowPb *pb, const FlowEvent *event, const char *run_id,
                                        const char *workflow_id);
/* Errors first, as they were found. */
void flow_pb_problems(FlowPb *pb, const FlowProblems *problems, size_t *ret_count,
                      Flowengine__V1__Problem ***ret_list);
/* What is known about a graph; `problems` may be NULL, revision 0 stands for an inline definition. Borrows from the graph. */
Flowengine__V1__Analysis *flow_pb_analysis(FlowPb *pb, FlowGraph *graph, const FlowProblems *problems,
                                           int64_t revision, const char *from_node_id,
                                           const char *to_node_id);

#endif
