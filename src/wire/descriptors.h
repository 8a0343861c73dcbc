/*
 * descriptors.h - what the contract says about messages, enums, services and methods, at run time.
 *
 * A pool is built from a compiled FileDescriptorSet (`generated/descriptors.binpb`) and joined with the
 * descriptors of the protobuf-c code by full name and field number: the set knows JSON names, oneofs, maps,
 * streaming and HTTP rules, the generated code knows where a field lies in a C struct.
 *
 * Everything in a pool is immutable once it is built and joined: any thread may read it without a lock. All
 * pointers are borrowed from the pool.
 */
#ifndef FLOW_WIRE_DESCRIPTORS_H
#define FLOW_WIRE_DESCRIPTORS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct FlowWirePool FlowWirePool;
typedef struct FlowWireFile FlowWireFile;
typedef struct FlowWireMessage FlowWireMessage;
typedef struct FlowWireField FlowWireField;
typedef struct FlowWireEnum FlowWireEnum;
typedef struct FlowWireService FlowWireService;
typedef struct FlowWireMethod FlowWireMethod;

/* Numbers of google.protobuf.FieldDescriptorProto.Type. */
typedef enum FlowWireType {
    FLOW_WIRE_DOUBLE = 1,
    FLOW_WIRE_FLOAT = 2,
    FLOW_WIRE_INT64 = 3,
    FLOW_WIRE_UINT64 = 4,
    FLOW_WIRE_INT32 = 5,
    FLOW_WIRE_FIXED64 = 6,
    FLOW_WIRE_FIXED32 = 7,
    FLOW_WIRE_BOOL = 8,
    FLOW_WIRE_STRING = 9,
    FLOW_WIRE_GROUP = 10,
    FLOW_WIRE_MESSAGE = 11,
    FLOW_WIRE_BYTES = 12,
    FLOW_WIRE_UINT32 = 13,
    FLOW_WIRE_ENUM = 14,
    FLOW_WIRE_SFIXED32 = 15,
    FLOW_WIRE_SFIXED64 = 16,
    FLOW_WIRE_SINT32 = 17,
    FLOW_WIRE_SINT64 = 18
} FlowWireType;

/* Messages whose JSON form is special. */
typedef enum FlowWireKind {
    FLOW_WIRE_ORDINARY,
    FLOW_WIRE_TIMESTAMP,
    FLOW_WIRE_DURATION,
    FLOW_WIRE_FIELD_MASK,
    FLOW_WIRE_STRUCT,
    FLOW_WIRE_VALUE,
    FLOW_WIRE_LIST_VALUE,
    FLOW_WIRE_WRAPPER, /* one of the nine: its only field has number 1 */
    FLOW_WIRE_ANY,
    FLOW_WIRE_EMPTY,
    FLOW_WIRE_HTTP_BODY
} FlowWireKind;

struct FlowWireField {
    const char *name;      /* "page_size" */
    const char *json_name; /* "pageSize" */
    const char *comment;   /* leading comment; "" when there is none or the set has no source info */
    uint32_t number;
    FlowWireType type;
    bool repeated;                            /* maps too */
    bool packed;                              /* as it is written; both forms are read */
    bool map;                                 /* repeated, of a message with .map_entry */
    bool fold_unknown, required, output_only; /* flowengine.v1.FieldRules, see options.proto */
    bool presence; /* absent differs from zero: messages, members of oneofs, `optional` */
    int oneof;     /* index into owner->oneofs; -1: none (an `optional` has none either) */
    const FlowWireMessage *owner;
    const FlowWireMessage *message;    /* for FLOW_WIRE_MESSAGE and _GROUP, else NULL */
    const FlowWireEnum *enumeration;   /* for FLOW_WIRE_ENUM, else NULL */
    const ProtobufCFieldDescriptor *c; /* NULL: no generated code, or it has no such field */
};

struct FlowWireMessage {
    const char *full_name; /* "flowengine.v1.Workflow" */
    const char *name;      /* "Workflow", the end of full_name */
    const char *comment;
    FlowWireKind kind;
    bool map_entry;              /* fields[0] is the key, fields[1] the value */
    const FlowWireField *fields; /* by number, ascending */
    size_t field_count;
    const char *const *oneofs; /* names */
    size_t oneof_count;
    const FlowWireFile *file;
    const ProtobufCMessageDescriptor *c; /* NULL: no generated code was joined */
    uint16_t *dense;                     /* private: number → index + 1 for small numbers */
    uint32_t dense_count;                /* private */
};

typedef struct FlowWireEnumValue {
    const char *name;
    const char *comment;
    int32_t number;
} FlowWireEnumValue;

struct FlowWireEnum {
    const char *full_name;
    const char *name;
    const char *comment;
    const FlowWireEnumValue *values; /* as declared */
    size_t value_count;
    const FlowWireFile *file;
};

/* One way to reach a method over HTTP (google.api.http); a rule's additional_bindings follow it. */
typedef struct FlowWireHttpRule {
    const char *verb;          /* "GET", "POST", … or what `custom` says */
    const char *path;          /* the template, "/v1/runs/{run_id}:watch" */
    const char *body;          /* "", "*", or a field of the request */
    const char *response_body; /* "" or a field of the response */
} FlowWireHttpRule;

struct FlowWireMethod {
    const char *full_name; /* "flowengine.v1.WorkflowService/CreateWorkflow" */
    const char *path;      /* "/" and full_name: the :path of gRPC */
    const char *name;      /* "CreateWorkflow" */
    const char *comment;
    const FlowWireService *service;
    const FlowWireMessage *request, *response;
    bool client_streaming, server_streaming;
    const FlowWireHttpRule *http;
    size_t http_count;
    /* flowengine.v1.stream_rules; "" when there are none. */
    const char *cursor_field; /* path in the response, int64 */
    const char *resume_field; /* in the request, google.protobuf.Int64Value */
};

struct FlowWireService {
    const char *full_name; /* "flowengine.v1.WorkflowService" */
    const char *name;
    const char *comment;
    const FlowWireMethod *methods; /* as declared */
    size_t method_count;
    const FlowWireFile *file;
};

struct FlowWireFile {
    const char *name; /* "flowengine/v1/workflow.proto", as other files import it */
    const char *package;
    const char *const *imports;
    size_t import_count;
    const uint8_t *bytes; /* the FileDescriptorProto as it was compiled */
    size_t len;
};

/*
 * `set` is a FileDescriptorSet with every import in it; it must outlive the pool. Fails with INTERNAL when it
 * is torn, names a type that it does not have, or declares something twice.
 */
FlowStatus flow_wire_pool_new(const void *set, size_t len, FlowWirePool **ret_pool, FlowError *reterr);
FlowWirePool *flow_wire_pool_free(FlowWirePool *pool); /* always NULL */

/*
 * Joins generated code, and all messages that it reaches: before other threads see the pool. Messages that
 * the set does not know, and fields that differ in type, are an INTERNAL error: the code and the set are of
 * different builds. A field that the set has as a message and the code as `bytes` is no difference: the
 * generator leaves such fields (Structs) packed.
 */
FlowStatus flow_wire_pool_join(FlowWirePool *pool, const ProtobufCMessageDescriptor *code, FlowError *reterr);
FlowStatus flow_wire_pool_join_service(FlowWirePool *pool, const ProtobufCServiceDescriptor *code,
                                       FlowError *reterr);

/* The contract of this program (generated/), joined; built on first use, never freed. Any thread. Aborts when
 * the build is inconsistent, which a test would have found. */
const FlowWirePool *flow_wire_contract(void);

/* NULL when there is none. Names without a leading dot. */
const FlowWireMessage *flow_wire_message(const FlowWirePool *pool, const char *full_name);
const FlowWireEnum *flow_wire_enum(const FlowWirePool *pool, const char *full_name);
const FlowWireService *flow_wire_service(const FlowWirePool *pool, const char *full_name);
/* "package.Service/Method". */
const FlowWireMethod *flow_wire_method(const FlowWirePool *pool, const char *full_name);
const FlowWireFile *flow_wire_file(const FlowWirePool *pool, const char *name);
/* The file that declares `symbol`: a message, enum, enum value, field, oneof, service, "pkg.Service.Method"
 * or extension. */
const FlowWireFile *flow_wire_file_of_symbol(const FlowWirePool *pool, const char *symbol);
/* The file that declares extension `number` of message `full_name`. */
const FlowWireFile *flow_wire_file_of_extension(const FlowWirePool *pool, const char *full_name,
                                                uint32_t number);
/* Numbers of all extensions of a message, ascending, at most `max`; answers how many there are. */
size_t flow_wire_extensions_of(const FlowWirePool *pool, const char *full_name, int32_t *to, size_t max);

/* All of them, as declared, file after file in the order of the set. */
size_t flow_wire_service_count(const FlowWirePool *pool);
const FlowWireService *flow_wire_service_at(const FlowWirePool *pool, size_t index);
size_t flow_wire_message_count(const FlowWirePool *pool);
const FlowWireMessage *flow_wire_message_at(const FlowWirePool *pool, size_t index);
size_t flow_wire_file_count(const FlowWirePool *pool);
const FlowWireFile *flow_wire_file_at(const FlowWirePool *pool, size_t index);

/* NULL when the message has no such field. The JSON form accepts both spellings, json_name first. */
const FlowWireField *flow_wire_field_slow(const FlowWireMessage *message, uint32_t number);
const FlowWireField *flow_wire_field_named(const FlowWireMessage *message, const char *name, size_t len);

static inline const FlowWireField *flow_wire_field(const FlowWireMessage *message, uint32_t number)
{
    if (number < message->dense_count) {
        uint16_t at = message->dense[number];
        return at != 0 ? &message->fields[at - 1] : NULL;
    }
    return flow_wire_field_slow(message, number);
}

/* NULL when the enum has no such value. */
const FlowWireEnumValue *flow_wire_enum_value(const FlowWireEnum *enumeration, int32_t number);
const FlowWireEnumValue *flow_wire_enum_value_named(const FlowWireEnum *enumeration, const char *name,
                                                    size_t len);

#endif
