/*
 * compile.c - the compiler's ground floor: tables, instructions, and how a finished program is put together.
 * compile_expression.c and compile_statement.c write the instructions.
 */
#include "template/compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "template/values.h"

static const int8_t effect_of[] = {
#define X(name, effect) [I_##name] = effect,
    FLOW_OP_MAP(X)
#undef X
};

void flow_compile__fail(FlowCompiler *c, FlowTemplateErrorKind kind, size_t at, const char *format, ...)
{
    if (c->failed)
        return;
    c->failed = true;
    c->error_at = at;
    c->error->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(c->error->message, sizeof c->error->message, format, args);
    va_end(args);
}

static void no_memory(FlowCompiler *c)
{
    flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, 0, "the template needs too much memory to compile");
}

void *flow_compile__push(FlowCompiler *c, FlowVec *vec, size_t item_size)
{
    if (c->failed)
        return NULL;
    if (vec->count == vec->capacity) {
        size_t capacity = vec->capacity != 0 ? vec->capacity * 2 : 8;
        void *grown = flow_arena_alloc(c->scratch, capacity * item_size);
        if (grown == NULL) {
            no_memory(c);
            return NULL;
        }
        if (vec->count != 0)
            memcpy(grown, vec->items, vec->count * item_size);
        vec->items = grown;
        vec->capacity = capacity;
    }
    return memset((char *)vec->items + item_size * vec->count++, 0, item_size);
}

/* ---- instructions ---- */

static int effect(const FlowCompiler *c, FlowOpCode op, size_t operand)
{
    const FlowSite *site;
    switch (effect_of[op]) {
    case EFFECT_COUNT:
        return 1 - (int)operand;
    case EFFECT_SITE:
        site = (const FlowSite *)c->sites.items + operand;
        return (op == I_PRINT_CALL ? 0 : 1) - site->positional - site->named - site->spread -
               site->named_spread - site->caller - (op == I_CALL || op == I_PRINT_CALL);
    default:
        return effect_of[op];
    }
}

size_t flow_compile__emit(FlowCompiler *c, FlowOpCode op, unsigned a, size_t b, size_t operand, size_t at)
{
    FlowOp *code = FLOW_PUSH(c, &c->builder->code, FlowOp);
    uint32_t *where = FLOW_PUSH(c, &c->builder->at, uint32_t);
    if (code == NULL || where == NULL)
        return 0;
    *code = (FlowOp){(uint8_t)op, (uint8_t)a, (uint16_t)b, (uint32_t)operand};
    *where = (uint32_t)at;
    flow_compile__adjust(c, effect(c, op, operand));
    return c->builder->code.count - 1;
}

void flow_compile__adjust(FlowCompiler *c, int by)
{
    c->builder->depth += by;
    if (c->builder->depth > c->builder->deepest)
        c->builder->deepest = c->builder->depth;
}

size_t flow_compile__here(const FlowCompiler *c)
{
    return c->builder->code.count;
}

void flow_compile__land(FlowCompiler *c, size_t from)
{
    if (!c->failed)
        ((FlowOp *)c->builder->code.items)[from].c = (uint32_t)c->builder->code.count;
}

/* ---- tables ---- */

/* A copy of the bytes that lives as long as the template. */
static const char *keep_text(FlowCompiler *c, const char *text, size_t len)
{
    const char *source = c->tmpl->source;
    if (text >= source && text + len <= source + c->tmpl->source_len)
        return text;
    char *kept = flow_arena_strndup(&c->tmpl->memory, text, len);
    if (kept == NULL)
        no_memory(c);
    return kept;
}

static bool keep(FlowCompiler *c, FlowVal *value)
{
    if (value->type == V_STRING) {
        value->s = keep_text(c, value->s, value->len);
        if (value->s != NULL && flow_val__is_ascii(*value))
            value->flags |= VAL_ASCII;
        return value->s != NULL;
    }
    if (value->type == V_BIG) {
        value->big = flow_big__copy(&c->tmpl->memory, value->big);
        return value->big != NULL;
    }
    if (value->type != V_TUPLE)
        return true;
    FlowList *list = flow_arena_alloc(&c->tmpl->memory, sizeof *list + value->list->count * sizeof(FlowVal));
    if (list == NULL)
        return false;
    *list = (FlowList){(FlowVal *)(list + 1), value->list->count, value->list->count};
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = value->list->items[i];
        if (!keep(c, &list->items[i]))
            return false;
    }
    value->list = list;
    return true;
}

uint32_t flow_compile__constant(FlowCompiler *c, FlowVal value)
{
    FlowVal *place = FLOW_PUSH(c, &c->constants, FlowVal);
    if (place == NULL)
        return 0;
    *place = value;
    if (!keep(c, place)) {
        no_memory(c);
        *place = val_none();
    }
    return (uint32_t)c->constants.count - 1;
}

uint32_t flow_compile__text(FlowCompiler *c, const char *text, size_t len)
{
    return flow_compile__constant(c, val_string(text, len));
}

uint32_t flow_compile__key(FlowCompiler *c, const FlowAtom *name)
{
    if (c->key_of[name->id] != 0)
        return c->key_of[name->id] - 1;
    FlowKey *key = FLOW_PUSH(c, &c->keys, FlowKey);
    if (key == NULL)
        return 0;
    key->val = val_string(name->text, name->len);
    if (!keep(c, &key->val))
        return 0;
    if (flow_value_try_string(name->text, name->len, &key->json, NULL) != FLOW_OK)
        no_memory(c);
    key->hash = flow_val__hash_text(name->text, name->len);
    c->key_of[name->id] = (uint32_t)c->keys.count;
    return (uint32_t)c->keys.count - 1;
}

uint32_t flow_compile__int_key(FlowCompiler *c, int64_t index)
{
    FlowKey *key = FLOW_PUSH(c, &c->keys, FlowKey);
    if (key == NULL)
        return 0;
    key->val = val_int(index);
    return (uint32_t)c->keys.count - 1;
}

uint32_t flow_compile__global(FlowCompiler *c, const FlowAtom *name)
{
    if (c->global_of[name->id] != 0)
        return c->global_of[name->id] - 1;
    FlowGlobal *global = FLOW_PUSH(c, &c->globals, FlowGlobal);
    if (global == NULL)
        return 0;
    global->name = val_string(name->text, name->len);
    if (!keep(c, &global->name))
        return 0;
    global->native = flow_global__find(name->text, name->len);
    global->undefined = (FlowUndefined){.name = global->name.s, .name_len = name->len};
    c->global_of[name->id] = (uint32_t)c->globals.count;
    return (uint32_t)c->globals.count - 1;
}

uint32_t flow_compile__new_slot(FlowCompiler *c, size_t at)
{
    if (c->builder->slots == UINT16_MAX)
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, at, "more than %d variables", UINT16_MAX);
    else
        c->builder->slots++;
    return c->builder->slots - 1;
}

FlowPlace flow_compile__place(FlowCompiler *c, const FlowRef *ref)
{
    unsigned outer = 0;
    for (const FlowBuilder *b = c->builder; b != ref->scope->function && b->outer != NULL; b = b->outer)
        outer++;
    if (outer > UINT8_MAX)
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, 0, "more than %d macros inside each other", UINT8_MAX);
    return (FlowPlace){ref->slot, (uint8_t)outer};
}

/* ---- the whole ---- */

static const void *kept_array(FlowCompiler *c, const FlowVec *vec, size_t item_size)
{
    if (vec->count == 0 || c->failed)
        return NULL;
    void *kept = flow_arena_alloc(&c->tmpl->memory, vec->count * item_size);
    if (kept == NULL)
        no_memory(c);
    else
        memcpy(kept, vec->items, vec->count * item_size);
    return kept;
}

static bool only_text(const FlowFunction *root)
{
    for (size_t i = 0; i < root->count; i++) {
        if (root->code[i].op != I_TEXT && root->code[i].op != I_RETURN)
            return false;
    }
    return true;
}

static void finish(FlowCompiler *c)
{
    FlowTemplate *t = c->tmpl;
    FlowFunction *functions = c->functions.items;
    for (size_t i = 0; i < c->functions.count && !c->failed; i++) {
        FlowFunction *f = &functions[i];
        f->code = kept_array(c, &(FlowVec){(void *)f->code, f->count, 0}, sizeof(FlowOp));
        f->at = kept_array(c, &(FlowVec){(void *)f->at, f->count, 0}, sizeof(uint32_t));
        f->params = kept_array(c, &(FlowVec){(void *)f->params, f->param_count, 0}, sizeof(FlowParam));
    }
    t->functions = kept_array(c, &c->functions, sizeof(FlowFunction));
    t->constants = kept_array(c, &c->constants, sizeof(FlowVal));
    t->keys = kept_array(c, &c->keys, sizeof(FlowKey));
    t->chains = kept_array(c, &c->chains, sizeof(FlowChain));
    t->sites = kept_array(c, &c->sites, sizeof(FlowSite));
    t->globals = kept_array(c, &c->globals, sizeof(FlowGlobal));
    t->paths = kept_array(c, &c->paths, sizeof(FlowTemplatePath));
    t->block_functions = kept_array(c, &c->blocks, sizeof(uint32_t));
    if (c->failed)
        return;
    t->function_count = c->functions.count;
    t->constant_count = c->constants.count;
    t->key_count = c->keys.count;
    t->chain_count = c->chains.count;
    t->site_count = c->sites.count;
    t->global_count = c->globals.count;
    t->path_count = c->paths.count;
    t->block_count = c->blocks.count;
    t->is_constant = only_text(&t->functions[0]);
}

/* The keys' JSON forms may hold memory of their own, which only the template gives back. */
static void drop_keys(FlowCompiler *c)
{
    FlowKey *keys = c->keys.items;
    for (size_t i = 0; i < c->keys.count; i++)
        flow_value_unref(keys[i].json);
}

static void find_special_names(FlowCompiler *c)
{
    static const char *const words[SPECIAL_NAMES] = {"loop", "caller", "kwargs", "varargs", "self", "super"};
    for (size_t i = 0; i < c->parsed->atom_count; i++) {
        for (int k = 0; k < SPECIAL_NAMES; k++) {
            if (strcmp(c->parsed->atoms[i]->text, words[k]) == 0)
                c->names[k] = c->parsed->atoms[i];
        }
    }
}

/* Paths hold the place in the source until here. They are mostly in order, so one walk finds most lines. */
static void locate_paths(FlowCompiler *c)
{
    FlowTemplatePath *paths = c->paths.items;
    const char *source = c->tmpl->source;
    size_t at = 0, begin = 0;
    unsigned line = 1;
    for (size_t i = 0; i < c->paths.count; i++) {
        size_t wanted = paths[i].line;
        if (wanted < at) {
            at = begin = 0;
            line = 1;
        }
        for (; at < wanted; at++) {
            if (source[at] == '\n') {
                line++;
                begin = at + 1;
            }
        }
        paths[i].line = line;
        paths[i].column = (unsigned)flow_utf8_count(source + begin, wanted - begin) + 1;
    }
}

bool flow_compile(FlowTemplate *tmpl, FlowTemplateError *error, size_t *ret_at)
{
    FlowArena scratch;
    flow_arena_init(&scratch, tmpl->limits.memory_bytes);
    FlowParsed parsed;
    if (!flow_parse(tmpl->source, tmpl->source_len, tmpl->is_expression, &tmpl->limits, &scratch, &parsed,
                    error, ret_at)) {
        flow_arena_done(&scratch);
        return false;
    }
    FlowCompiler c = {.tmpl = tmpl, .scratch = &scratch, .parsed = &parsed, .error = error};
    flow_map_init(&c.known_paths);
    c.key_of = flow_arena_calloc(&scratch, parsed.atom_count + 1, sizeof *c.key_of);
    c.global_of = flow_arena_calloc(&scratch, parsed.atom_count + 1, sizeof *c.global_of);
    if (c.key_of == NULL || c.global_of == NULL)
        no_memory(&c);
    else
        find_special_names(&c);
    if (!c.failed)
        flow_compile__root(&c);
    if (!c.failed) {
        locate_paths(&c);
        finish(&c);
    }
    if (c.failed)
        drop_keys(&c);
    if (c.folder != NULL)
        flow_vm__free_folder(c.folder);
    flow_map_done(&c.known_paths, NULL);
    flow_arena_done(&scratch);
    *ret_at = c.error_at;
    return !c.failed;
}
