/*
 * compile_expression.c - expressions into instructions for a stack.
 *
 * Every expression leaves one value. Chains that lean to the left are followed with a list of the nodes on
 * the way down (the spine), not by recursion: a.b|f|g and 1+1+1 may be as long as the template.
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "template/compile.h"
#include "template/values.h"

static void constant(FlowCompiler *c, const FlowAst *node)
{
    flow_compile__emit(c, I_CONST, 0, 0, flow_compile__constant(c, node->value), node->at);
}

/* ---- names and what hangs on them ---- */

/* loop.index and the like, when `loop` is the loop's own variable. */
static int loop_field(FlowCompiler *c, const FlowAst *name, const FlowAst *key, FlowPlace *place)
{
    if (key->kind != AST_ATTR || strcmp(name->name->text, "loop") != 0)
        return -1;
    FlowRef *ref = flow_scope__find(c->scope, name->name);
    if (ref == NULL || ref->load != LOAD_PARAMETER)
        return -1;
    *place = flow_compile__place(c, ref);
    return flow_loop__field(key->name->text, key->name->len);
}

static bool is_chain_key(const FlowAst *node)
{
    if (node->kind == AST_ATTR)
        return true;
    return node->kind == AST_ITEM && node->right->kind == AST_CONST &&
           (node->right->value.type == V_STRING || node->right->value.type == V_INT);
}

/* Reading it when it is not there is what this filter or test is for. */
static bool expects_absence(const FlowAst *node)
{
    static const char *const names[] = {"default", "d", "defined", "undefined", "none"};
    if (node->kind != AST_FILTER && node->kind != AST_TEST)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(node->name->text, names[i]) == 0)
            return true;
    }
    return false;
}

static void remember_path(FlowCompiler *c, const FlowAst *name, const FlowKey *keys, size_t count,
                          bool guarded)
{
    FlowBuf text;
    flow_buf_init(&text, 1024);
    flow_buf_append(&text, name->name->text, name->name->len);
    for (size_t i = 0; i < count; i++) {
        flow_buf_byte(&text, '.');
        if (keys[i].val.type == V_STRING)
            flow_buf_append(&text, keys[i].val.s, keys[i].val.len);
        else
            flow_buf_printf(&text, "%lld", (long long)keys[i].val.i);
    }
    if (!text.failed) {
        uintptr_t known = (uintptr_t)flow_map_get(&c->known_paths, text.data, text.len);
        if (known != 0) {
            ((FlowTemplatePath *)c->paths.items)[known - 1].guarded &= guarded;
        } else {
            FlowTemplatePath *path = FLOW_PUSH(c, &c->paths, FlowTemplatePath);
            if (path != NULL) {
                path->text = flow_arena_strndup(&c->tmpl->memory, text.data, text.len);
                path->guarded = guarded;
                path->line = name->at; /* becomes line and column when the program is finished */
                if (path->text == NULL || !flow_map_set(&c->known_paths, text.data, text.len,
                                                        (void *)(uintptr_t)c->paths.count, NULL))
                    flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, name->at,
                                       "the template needs too much memory to compile");
            }
        }
    }
    flow_buf_done(&text);
}

/* A name and `count` keys behind it, as one instruction. */
static void chain(FlowCompiler *c, const FlowAst *name, FlowAst *const *nodes, size_t count, bool guarded)
{
    size_t first = c->keys.count;
    for (size_t i = 0; i < count; i++) {
        FlowKey *key = FLOW_PUSH(c, &c->keys, FlowKey);
        if (key == NULL)
            return;
        FlowVal val = nodes[i]->kind == AST_ATTR ? val_string(nodes[i]->name->text, nodes[i]->name->len)
                                                 : nodes[i]->right->value;
        if (val.type == V_STRING) {
            const char *kept = flow_arena_strndup(&c->tmpl->memory, val.s, val.len);
            if (kept == NULL || flow_value_try_string(val.s, val.len, &key->json, NULL) != FLOW_OK) {
                flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, name->at,
                                   "the template needs too much memory to compile");
                return;
            }
            key->hash = flow_val__hash_text(val.s, val.len);
            val.s = kept;
        }
        key->val = val;
    }
    FlowRef *ref = flow_scope__find(c->scope, name->name);
    bool in_context = ref == NULL || !ref->stored;
    if (in_context && flow_global__find(name->name->text, name->name->len) == NULL)
        remember_path(c, name, count != 0 ? (const FlowKey *)c->keys.items + first : NULL, count, guarded);
    size_t at = count != 0 ? nodes[count - 1]->at : name->at;
    uint32_t global = flow_compile__global(c, name->name);
    FlowPlace place = in_context ? (FlowPlace){0} : flow_compile__place(c, ref);
    if (count == 0 && in_context) {
        flow_compile__emit(c, I_GLOBAL, 0, 0, global, at);
    } else if (count == 0) {
        flow_compile__emit(c, place.outer != 0 ? I_OUTER : I_LOCAL, place.outer, place.slot, global, at);
    } else {
        FlowChain *made = FLOW_PUSH(c, &c->chains, FlowChain);
        if (made == NULL)
            return;
        *made = (FlowChain){global, place.slot, (uint32_t)first, (uint16_t)count, place.outer, in_context};
        flow_compile__emit(c, I_CHAIN, 0, 0, c->chains.count - 1, at);
    }
}

/* The name at the bottom of a spine and the keys right above it; answers how many nodes that took. */
static size_t name_with_keys(FlowCompiler *c, const FlowAst *name, const FlowSpine *spine)
{
    FlowPlace place;
    if (spine->count > 0) {
        int field = loop_field(c, name, spine->nodes[0], &place);
        if (field >= 0) {
            flow_compile__emit(c, I_LOOP_FIELD, place.outer, place.slot, (size_t)field, spine->nodes[0]->at);
            return 1;
        }
    }
    size_t count = 0;
    while (count < spine->count && count < 256 && is_chain_key(spine->nodes[count]))
        count++;
    bool guarded = count < spine->count && expects_absence(spine->nodes[count]);
    chain(c, name, spine->nodes, count, guarded);
    return count;
}

/* ---- calls ---- */

static void arguments(FlowCompiler *c, const FlowAstArgs *args)
{
    for (FlowAst *arg = args->positional.first; arg != NULL; arg = arg->next)
        flow_compile__expression(c, arg);
    for (FlowAst *arg = args->named.first; arg != NULL; arg = arg->next)
        flow_compile__expression(c, arg->left);
    if (args->spread != NULL)
        flow_compile__expression(c, args->spread);
    if (args->named_spread != NULL)
        flow_compile__expression(c, args->named_spread);
}

/* `in_front`: 1 when the value in front of a filter, test or method counts as an argument. */
static FlowSite *new_site(FlowCompiler *c, const FlowAst *node, unsigned in_front)
{
    const FlowAstArgs *args = &node->args;
    if (args->positional.count > 1000 || args->named.count > 1000) {
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, node->at, "more than 1000 arguments");
        return NULL;
    }
    uint32_t names = (uint32_t)c->constants.count;
    for (FlowAst *arg = args->named.first; arg != NULL; arg = arg->next) {
        for (FlowAst *before = args->named.first; before != arg; before = before->next) {
            if (before->name == arg->name) {
                flow_compile__fail(c, FLOW_TEMPLATE_SYNTAX, arg->at, "keyword argument repeated: %.60s",
                                   arg->name->text);
                return NULL;
            }
        }
        flow_compile__text(c, arg->name->text, arg->name->len);
    }
    FlowSite *site = FLOW_PUSH(c, &c->sites, FlowSite);
    if (site == NULL)
        return NULL;
    site->names = names;
    site->positional = (uint16_t)(args->positional.count + in_front);
    site->named = (uint16_t)args->named.count;
    site->spread = args->spread != NULL;
    site->named_spread = args->named_spread != NULL;
    return site;
}

static void mark_plain(FlowSite *site)
{
    if (site->native == NULL || site->native->call == NULL || site->named != 0 || site->spread ||
        site->named_spread)
        return;
    unsigned params = 0;
    while (params < FLOW_NATIVE_PARAMS && site->native->params[params] != NULL)
        params++;
    site->plain = site->positional <= params && site->positional >= site->native->required;
    site->fill = (uint8_t)(params - site->positional);
}

static void unknown(FlowCompiler *c, const FlowAst *node)
{
    const char *names[160];
    bool filter = node->kind == AST_FILTER;
    size_t count = filter ? flow_filter__names(names, 160) : flow_test__names(names, 160);
    const char *nearest = flow_nearest_name(node->name->text, node->name->len, names, count);
    flow_compile__fail(c, FLOW_TEMPLATE_SYNTAX, node->at, "No %s named '%.80s'.", filter ? "filter" : "test",
                       node->name->text);
    if (nearest != NULL && c->error->hint[0] == '\0')
        snprintf(c->error->hint, sizeof c->error->hint, "did you mean '%s'?", nearest);
}

static void filter_or_test(FlowCompiler *c, const FlowAst *node)
{
    bool filter = node->kind == AST_FILTER;
    const FlowNative *native = filter ? flow_filter__find(node->name->text, node->name->len)
                                      : flow_test__find(node->name->text, node->name->len);
    if (native == NULL && !c->soft) {
        unknown(c, node);
        return;
    }
    arguments(c, &node->args);
    FlowSite *site = new_site(c, node, 1);
    if (site == NULL)
        return;
    size_t index = c->sites.count - 1;
    site->native = native;
    mark_plain(site);
    uint32_t name = flow_compile__key(c, node->name);
    if (c->failed)
        return;
    ((FlowSite *)c->sites.items)[index].name = name;
    flow_compile__emit(c, filter ? I_FILTER : I_TEST, 0, 0, index, node->at);
    if (node->flag)
        flow_compile__emit(c, I_NOT, 0, 0, 0, node->at);
}

/* What is called, or the object of the method, is already on the stack. */
static void call(FlowCompiler *c, const FlowAst *node, uint32_t caller)
{
    bool method = node->left->kind == AST_ATTR;
    arguments(c, &node->args);
    if (caller != 0)
        flow_compile__emit(c, I_MACRO, 0, 0, caller, node->at);
    FlowSite *site = new_site(c, node, method ? 1 : 0);
    if (site == NULL)
        return;
    site->caller = caller != 0;
    size_t index = c->sites.count - 1;
    if (method) {
        const FlowAtom *name = node->left->name;
        for (int class = 0; class < FLOW_METHOD_CLASSES; class ++)
            site->method[class] = flow_method__of_class(class, name->text, name->len);
        uint32_t key = flow_compile__key(c, name);
        if (c->failed)
            return;
        ((FlowSite *)c->sites.items)[index].name = key;
    }
    flow_compile__emit(c, method ? I_CALL_METHOD : I_CALL, 0, 0, index, method ? node->left->at : node->at);
}

void flow_compile__call_block(FlowCompiler *c, FlowAst *node, uint32_t function)
{
    flow_compile__expression(c, flow_spine__left(node));
    call(c, node, function);
}

/* ---- operators ---- */

static void short_circuit(FlowCompiler *c, const FlowAst *node)
{
    size_t jump = flow_compile__emit(c, node->kind == AST_AND ? I_AND : I_OR, 0, 0, 0, node->at);
    flow_compile__expression(c, node->right);
    flow_compile__land(c, jump);
}

static bool is_comparison_of_numbers(unsigned op)
{
    return op >= OP_EQ && op <= OP_GE;
}

/* A string from an island counts as a number beside a number: the two values are on the stack. */
static void islands(FlowCompiler *c, const FlowAst *left, const FlowAst *right, size_t at)
{
    unsigned mask = (left != NULL && left->kind == AST_ISLAND) | (right->kind == AST_ISLAND ? 2 : 0);
    if (mask != 0)
        flow_compile__emit(c, I_ISLANDS, mask, 0, 0, at);
}

static void comparison(FlowCompiler *c, const FlowAst *node)
{
    const FlowAst *left = node->left;
    size_t count = node->items.count - 1;
    size_t *jumps = count != 0 ? flow_arena_alloc(c->scratch, count * sizeof *jumps) : NULL;
    if (count != 0 && jumps == NULL)
        return;
    size_t n = 0;
    for (const FlowAst *pair = node->items.first; pair != NULL; left = pair->right, pair = pair->next) {
        FlowAst *right = pair->right;
        if ((pair->op == OP_IN || pair->op == OP_NOT_IN) &&
            (right->kind == AST_LIST || right->kind == AST_TUPLE))
            flow_compile__iterable(c, right);
        else
            flow_compile__expression(c, right);
        if (is_comparison_of_numbers(pair->op))
            islands(c, left, right, pair->at);
        if (pair->next != NULL)
            jumps[n++] = flow_compile__emit(c, I_COMPARE_CHAIN, pair->op, 0, 0, pair->at);
        else
            flow_compile__emit(c, I_COMPARE, pair->op, 0, 0, pair->at);
    }
    for (size_t i = 0; i < n; i++)
        flow_compile__land(c, jumps[i]);
}

static void inline_if(FlowCompiler *c, FlowAst *node)
{
    static const char hint[] = "the inline if-expression evaluated to false and no else section was defined.";
    bool soft = c->soft;
    c->soft = true;
    size_t ends[150];
    size_t count = 0;
    /* else-branches that are inline ifs again follow in the loop. */
    for (;;) {
        flow_compile__expression(c, node->test);
        size_t no = flow_compile__emit(c, I_JUMP_FALSE, 0, 0, 0, node->at);
        flow_compile__expression(c, node->target);
        if (count < sizeof ends / sizeof ends[0])
            ends[count++] = flow_compile__emit(c, I_JUMP, 0, 0, 0, node->at);
        flow_compile__adjust(c, -1);
        flow_compile__land(c, no);
        if (node->iter == NULL) {
            flow_compile__emit(c, I_UNDEFINED, 1, 0, flow_compile__text(c, hint, sizeof hint - 1), node->at);
            break;
        }
        if (node->iter->kind != AST_IF_ELSE || count == sizeof ends / sizeof ends[0]) {
            flow_compile__expression(c, node->iter);
            break;
        }
        node = node->iter;
    }
    for (size_t i = 0; i < count; i++)
        flow_compile__land(c, ends[i]);
    c->soft = soft;
}

static void items(FlowCompiler *c, const FlowAst *node, FlowOpCode op)
{
    size_t count = 0;
    for (FlowAst *item = node->items.first; item != NULL; item = item->next) {
        flow_compile__expression(c, op == I_DICT ? item->left : item);
        if (op == I_DICT)
            flow_compile__expression(c, item->right);
        count += op == I_DICT ? 2 : 1;
    }
    flow_compile__emit(c, op, 0, 0, count, node->at);
}

static void leaf(FlowCompiler *c, FlowAst *node)
{
    switch (node->kind) {
    case AST_CONST:
        constant(c, node);
        break;
    case AST_TUPLE:
        items(c, node, I_TUPLE);
        break;
    case AST_LIST:
        items(c, node, I_LIST);
        break;
    case AST_DICT:
        items(c, node, I_DICT);
        break;
    case AST_CONCAT:
        items(c, node, I_CONCAT);
        break;
    default:
        inline_if(c, node);
        break;
    }
}

/* The node's own instructions; the value of its left is on the stack. */
static void on_top(FlowCompiler *c, FlowAst *node)
{
    switch (node->kind) {
    case AST_ATTR:
        flow_compile__emit(c, I_KEY, 0, 0, flow_compile__key(c, node->name), node->at);
        break;
    case AST_ITEM:
        flow_compile__expression(c, node->right);
        flow_compile__emit(c, I_ITEM, 0, 0, 0, node->at);
        break;
    case AST_SLICE:
        for (int i = 0; i < 3; i++) {
            if (node->slice[i] != NULL)
                flow_compile__expression(c, node->slice[i]);
            else
                flow_compile__emit(c, I_CONST, 0, 0, flow_compile__constant(c, val_none()), node->at);
        }
        flow_compile__emit(c, I_SLICE, 0, 0, 0, node->at);
        break;
    case AST_CALL:
        call(c, node, 0);
        break;
    case AST_FILTER:
    case AST_TEST:
        filter_or_test(c, node);
        break;
    case AST_UNARY:
        flow_compile__emit(c,
                           node->op == OP_NOT   ? I_NOT
                           : node->op == OP_NEG ? I_NEG
                                                : I_POS,
                           0, 0, 0, node->at);
        break;
    case AST_BINARY:
        flow_compile__expression(c, node->right);
        islands(c, node->left, node->right, node->at);
        flow_compile__emit(c, I_BINARY, node->op, 0, 0, node->at);
        break;
    case AST_COMPARE:
        comparison(c, node);
        break;
    case AST_ISLAND:
        break;
    default:
        short_circuit(c, node);
        break;
    }
}

static void spine_of(FlowCompiler *c, FlowAst *node)
{
    FlowSpine spine;
    if (c->failed || !flow_spine__climb(c, node, &spine))
        return;
    size_t done = 0;
    if (spine.leaf != NULL && spine.leaf->kind == AST_NAME) {
        done = name_with_keys(c, spine.leaf, &spine);
    } else if (spine.leaf != NULL) {
        FlowAst *value = flow_compile__folded(c, spine.leaf);
        for (FlowAst *next = value; next != NULL && done < spine.count; done++) {
            next = flow_compile__fold(c, spine.nodes[done], value);
            if (next == NULL)
                break;
            value = next;
        }
        leaf(c, value != NULL ? value : spine.leaf);
    }
    for (; done < spine.count && !c->failed; done++)
        on_top(c, spine.nodes[done]);
}

void flow_compile__expression(FlowCompiler *c, FlowAst *node)
{
    spine_of(c, node);
}

void flow_compile__filters(FlowCompiler *c, FlowAst *node)
{
    spine_of(c, node);
}

void flow_compile__iterable(FlowCompiler *c, FlowAst *node)
{
    FlowAst *value =
        node->kind == AST_LIST || node->kind == AST_TUPLE ? flow_compile__constant_tuple(c, node) : NULL;
    if (value != NULL)
        constant(c, value);
    else
        flow_compile__expression(c, node);
}

void flow_compile__print(FlowCompiler *c, FlowAst *node)
{
    flow_compile__expression(c, node);
    if (c->failed)
        return;
    FlowOp *last = (FlowOp *)c->builder->code.items + c->builder->code.count - 1;
    FlowOpCode fused = last->op == I_CHAIN        ? I_PRINT_CHAIN
                       : last->op == I_LOOP_FIELD ? I_PRINT_LOOP_FIELD
                                                  : I_PRINT;
    /* A jump may land behind the last instruction only where that is no chain and no field by itself. */
    bool straight = node->kind == AST_NAME || node->kind == AST_ATTR || node->kind == AST_ITEM;
    if (fused != I_PRINT && straight) {
        last->op = (uint8_t)fused;
        flow_compile__adjust(c, -1);
    } else if (last->op == I_CALL && node->kind == AST_CALL) {
        last->op = I_PRINT_CALL;
        flow_compile__adjust(c, -1);
    } else {
        flow_compile__emit(c, I_PRINT, 0, 0, 0, node->at);
    }
}
