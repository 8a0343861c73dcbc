/* vm.c - failing, bounds, memory and strings in the making. */
#include "template/vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "base/mem.h"
#include "template/values.h"

enum { STEPS_BETWEEN_LOOKS = 8192 };

/* ---- failing ---- */

void flow_vm__set_failure(FlowVm *vm, FlowTemplateErrorKind kind, const char *format, ...)
{
    if (vm->failed)
        return;
    vm->failed = true;
    vm->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(vm->message, sizeof vm->message, format, args);
    va_end(args);
}

void flow_vm__hint(FlowVm *vm, const char *wanted, size_t len, const char *const *names, size_t count)
{
    const char *nearest = vm->hint[0] == '\0' ? flow_nearest_name(wanted, len, names, count) : NULL;
    if (nearest != NULL)
        snprintf(vm->hint, sizeof vm->hint, "did you mean '%s'?", nearest);
}

enum { HINT_NAMES = 256 };

/* The keys and methods of a value, as NUL-terminated copies. */
static size_t names_of(FlowVm *vm, FlowVal owner, const char **names)
{
    FlowVal key, value;
    size_t count = 0, at = 0;
    FlowVal mapping = owner.type == V_NAMESPACE ? val_dict(owner.dict) : owner;
    while (val_is_mapping(mapping) && count < HINT_NAMES / 2 &&
           flow_mapping__next(mapping, &at, &key, &value)) {
        if (key.type == V_STRING && key.len <= 64) {
            char *copy = flow_arena_strndup(&vm->memory, key.s, key.len);
            if (copy == NULL)
                break;
            names[count++] = copy;
        }
    }
    return count + flow_method__names(owner, names + count, HINT_NAMES - count);
}

static size_t names_in_sight(FlowVm *vm, const char **names)
{
    size_t count = 0;
    for (size_t i = 0; i < vm->context->var_count && count < HINT_NAMES / 2; i++)
        names[count++] = vm->context->vars[i].name;
    return count + flow_global__names(names + count, HINT_NAMES - count);
}

void flow_vm__set_undefined_failure(FlowVm *vm, FlowVal undefined)
{
    if (vm->failed)
        return;
    const FlowUndefined *u = undefined.undefined;
    const char *names[HINT_NAMES];
    int len = (int)(u->name_len < 80 ? u->name_len : 80);
    if (u->hint != NULL) {
        flow_vm__set_failure(vm, FLOW_TEMPLATE_UNDEFINED, "%s", u->hint);
        return;
    }
    size_t count;
    if (u->owner.type == V_MISSING) {
        flow_vm__set_failure(vm, FLOW_TEMPLATE_UNDEFINED, "'%.*s' is undefined", len, u->name);
        count = vm->context != NULL ? names_in_sight(vm, names) : 0;
    } else {
        flow_vm__set_failure(vm, FLOW_TEMPLATE_UNDEFINED, "this %s has no '%.*s'",
                             flow_val__type_name(u->owner), len, u->name);
        count = names_of(vm, u->owner, names);
    }
    flow_vm__hint(vm, u->name, u->name_len, names, count);
}

/* ---- bounds ---- */

bool flow_vm__refuel(FlowVm *vm, uint64_t steps)
{
    uint64_t left = vm->fuel + vm->reserve;
    if (steps >= left) {
        vm->fuel = vm->reserve = 0;
        return flow_vm__limit(vm, "this takes more than %llu steps", (unsigned long long)vm->limits.steps);
    }
    left -= steps;
    vm->fuel = left < STEPS_BETWEEN_LOOKS ? left : STEPS_BETWEEN_LOOKS;
    vm->reserve = left - vm->fuel;
    if (vm->out != NULL && vm->out->failed)
        return flow_vm__limit(vm, "the output is longer than %zu bytes", vm->limits.output_bytes);
    /* Counted on the real clock: a test clock that stands still must not make a render endless. */
    int64_t now = flow_clock_mono_ns(flow_clock_real());
    if (vm->deadline == 0)
        vm->deadline = now + vm->limits.time_ns;
    if (now > vm->deadline)
        return flow_vm__limit(vm, "this takes longer than %lld ms",
                              (long long)(vm->limits.time_ns / FLOW_NS_PER_MS));
    return true;
}

/* ---- memory ---- */

void *flow_vm__alloc_slow(FlowVm *vm, size_t size)
{
    /* Writing fresh memory is work, too: a page costs about as much as some dozen steps. */
    if (!flow_vm__charge(vm, size / 512))
        return NULL;
    void *memory = flow_arena_alloc(&vm->memory, size);
    if (memory == NULL)
        flow_vm__limit(vm, "this takes more than %zu MiB of memory", vm->limits.memory_bytes >> 20);
    return memory;
}

char *flow_vm__alloc_text(FlowVm *vm, size_t len)
{
    if (len > vm->limits.value_bytes) {
        flow_vm__limit(vm, "a string of more than %zu bytes", vm->limits.value_bytes);
        return NULL;
    }
    return flow_vm__alloc(vm, len != 0 ? len : 1);
}

bool flow_vm__string(FlowVm *vm, const char *text, size_t len, FlowVal *ret)
{
    char *copy = flow_vm__alloc_text(vm, len);
    if (copy == NULL)
        return false;
    memcpy(copy, text, len);
    *ret = val_string(copy, len);
    return true;
}

bool flow_vm__format(FlowVm *vm, FlowVal *ret, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return flow_vm__string(vm, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, ret);
}

FlowBuild flow_vm__build(FlowVm *vm)
{
    /* From here on there is memory, so that writers may point into it. */
    if (vm->captured.data == NULL)
        flow_buf_reserve(&vm->captured, 256);
    return (FlowBuild){&vm->captured, vm->captured.len};
}

bool flow_vm__build_ok(FlowVm *vm, FlowBuild build)
{
    if (build.buf->failed || build.buf->len - build.start > vm->limits.value_bytes)
        return flow_vm__limit(vm, "a string of more than %zu bytes", vm->limits.value_bytes);
    return !vm->failed;
}

bool flow_vm__built(FlowVm *vm, FlowBuild build, FlowVal *ret)
{
    size_t len = build.buf->len - build.start;
    bool ok = flow_vm__build_ok(vm, build) &&
              flow_vm__string(vm, len != 0 ? build.buf->data + build.start : "", len, ret);
    build.buf->len = build.start;
    return ok;
}

struct FlowOwned {
    struct FlowOwned *next;
    FlowValue value;
};

const FlowValue *flow_vm__own_take(FlowVm *vm, FlowValue value)
{
    struct FlowOwned *owned = flow_vm__alloc(vm, sizeof *owned);
    size_t size = flow_value_size(value);
    if (owned == NULL || size > vm->memory.limit - vm->memory.used) {
        flow_value_unref(value);
        flow_vm__limit(vm, "this takes more than %zu MiB of memory", vm->limits.memory_bytes >> 20);
        return NULL;
    }
    vm->memory.used += size;
    *owned = (struct FlowOwned){vm->owned, value};
    vm->owned = owned;
    return &owned->value;
}

void flow_vm__release(FlowVm *vm)
{
    for (struct FlowOwned *owned = vm->owned; owned != NULL; owned = owned->next)
        flow_value_unref(owned->value);
    flow_arena_done(&vm->memory);
    flow_buf_done(&vm->captured);
}

/* ---- undefined ---- */

bool flow_vm__undefined_hint(FlowVm *vm, const char *hint, FlowVal *ret)
{
    FlowUndefined *undefined = flow_vm__alloc(vm, sizeof *undefined);
    if (undefined == NULL)
        return false;
    *undefined = (FlowUndefined){.hint = hint};
    *ret = (FlowVal){.type = V_UNDEFINED, .undefined = undefined};
    return true;
}

bool flow_vm__undefined_attr(FlowVm *vm, FlowVal owner, const char *name, size_t len, FlowVal *ret)
{
    FlowUndefined *undefined = flow_vm__alloc(vm, sizeof *undefined);
    if (undefined == NULL)
        return false;
    *undefined = (FlowUndefined){.name = name, .name_len = len, .owner = owner};
    *ret = (FlowVal){.type = V_UNDEFINED, .undefined = undefined};
    return true;
}

/* ---- computing while compiling ---- */

FlowVm *flow_vm__folder(FlowVm **folder)
{
    if (*folder == NULL) {
        FlowVm *vm = flow_new(FlowVm);
        vm->limits = flow_template_default_limits;
        vm->limits.value_bytes = 4096;
        vm->limits.value_items = 256;
        flow_arena_init(&vm->memory, 1 << 20);
        flow_buf_init(&vm->captured, 1 << 16);
        *folder = vm;
    }
    (*folder)->failed = false;
    (*folder)->fuel = 10000;
    (*folder)->captured.failed = false;
    return *folder;
}

void flow_vm__free_folder(FlowVm *folder)
{
    flow_arena_done(&folder->memory);
    flow_buf_done(&folder->captured);
    free(folder);
}
