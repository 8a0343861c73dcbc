/* descriptors_internal.h - what a pool is made of; for descriptors.c and descriptors_load.c only. */
#ifndef FLOW_WIRE_DESCRIPTORS_INTERNAL_H
#define FLOW_WIRE_DESCRIPTORS_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "wire/descriptors.h"

typedef struct FlowWireExtension {
    const char *full_name;
    const char *extendee;
    uint32_t number;
    const FlowWireFile *file;
} FlowWireExtension;

struct FlowWirePool {
    FlowArena arena; /* everything that the structs point to */
    FlowWireFile *files;
    FlowWireMessage *messages;
    FlowWireEnum *enums;
    FlowWireService *services;
    FlowWireExtension *extensions;
    size_t file_count, message_count, enum_count, service_count, extension_count;
    FlowMap files_by_name, messages_by_name, enums_by_name, services_by_name, methods_by_name;
};

#endif
