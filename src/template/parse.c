/*
 * parse.c - the parser's ground floor: failing, names, tokens. Messages follow Jinja's where it has one.
 *
 * Recursion: an expression inside an expression and a block inside a block pass flow_parse__enter(), which
 * bounds both together.
 */
#include "template/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

/* ---- failing ---- */

static void keep_failure(FlowParser *p, FlowTemplateErrorKind kind, size_t at, const char *format,
                         va_list args)
{
    if (p->failed)
        return;
    p->failed = true;
    p->error_at = at;
    p->error->kind = kind;
    vsnprintf(p->error->message, sizeof p->error->message, format, args);
    p->token.type = T_ERROR; /* ends every loop that waits for a token */
}

FlowAst *flow_parse__fail(FlowParser *p, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep_failure(p, FLOW_TEMPLATE_SYNTAX, at, format, args);
    va_end(args);
    return NULL;
}

FlowAst *flow_parse__limit(FlowParser *p, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep_failure(p, FLOW_TEMPLATE_LIMIT, at, format, args);
    va_end(args);
    return NULL;
}

bool flow_parse__enter(FlowParser *p)
{
    if (p->depth < p->max_depth) {
        p->depth++;
        return !p->failed;
    }
    flow_parse__limit(p, p->token.at, "nested more than %u deep", p->max_depth);
    return false;
}

void flow_parse__leave(FlowParser *p)
{
    p->depth--;
}

/* ---- memory and names ---- */

FlowAst *flow_parse__node(FlowParser *p, FlowAstKind kind, size_t at)
{
    FlowAst *node = flow_arena_calloc(p->arena, 1, sizeof *node);
    if (node == NULL)
        return flow_parse__limit(p, at, "the template needs too much memory to compile");
    node->kind = (uint8_t)kind;
    node->at = (uint32_t)at;
    return p->failed ? NULL : node;
}

void flow_ast__append(FlowAstList *list, FlowAst *node)
{
    if (list->last != NULL)
        list->last->next = node;
    else
        list->first = node;
    list->last = node;
    list->count++;
}

static bool grow_atoms(FlowParser *p)
{
    size_t capacity = p->atom_capacity != 0 ? p->atom_capacity * 2 : 16;
    size_t index_size = capacity * 2;
    FlowAtom **atoms = flow_arena_alloc(p->arena, capacity * sizeof *atoms);
    uint32_t *index = flow_arena_calloc(p->arena, index_size, sizeof *index);
    if (atoms == NULL || index == NULL)
        return false;
    if (p->atom_count != 0)
        memcpy(atoms, p->atoms, p->atom_count * sizeof *atoms);
    p->atoms = atoms;
    p->atom_capacity = capacity;
    p->atom_index = index;
    p->atom_index_size = index_size;
    for (size_t i = 0; i < p->atom_count; i++) {
        size_t slot = flow_hash_bytes(atoms[i]->text, atoms[i]->len) & (index_size - 1);
        while (index[slot] != 0)
            slot = (slot + 1) & (index_size - 1);
        index[slot] = (uint32_t)i + 1;
    }
    return true;
}

const FlowAtom *flow_parse__atom(FlowParser *p, const char *text, size_t len)
{
    if (p->atom_count == p->atom_capacity && !grow_atoms(p)) {
        flow_parse__limit(p, p->token.at, "the template needs too much memory to compile");
        return NULL;
    }
    size_t slot = flow_hash_bytes(text, len) & (p->atom_index_size - 1);
    for (; p->atom_index[slot] != 0; slot = (slot + 1) & (p->atom_index_size - 1)) {
        FlowAtom *known = p->atoms[p->atom_index[slot] - 1];
        if (known->len == len && memcmp(known->text, text, len) == 0)
            return known;
    }
    FlowAtom *atom = flow_arena_alloc(p->arena, sizeof *atom);
    char *copy = flow_arena_strndup(p->arena, text, len);
    if (atom == NULL || copy == NULL) {
        flow_parse__limit(p, p->token.at, "the template needs too much memory to compile");
        return NULL;
    }
    *atom = (FlowAtom){copy, (uint32_t)len, (uint32_t)p->atom_count};
    p->atoms[p->atom_count++] = atom;
    p->atom_index[slot] = (uint32_t)p->atom_count;
    return atom;
}

/* ---- tokens ---- */

static FlowToken next_token(FlowParser *p)
{
    FlowToken token = flow_lex__next(&p->lex);
    if (token.type == T_ERROR && p->lex.too_deep)
        flow_parse__limit(p, p->lex.error_at, "%s", p->lex.error);
    return token;
}

void flow_parse__advance(FlowParser *p)
{
    if (p->failed)
        return;
    p->last_at = p->token.at;
    if (p->looked) {
        p->token = p->ahead;
        p->looked = false;
    } else {
        p->token = next_token(p);
    }
    if (p->token.type == T_ERROR)
        flow_parse__fail(p, p->lex.error_at, "%s", p->lex.error);
}

FlowToken flow_parse__look(FlowParser *p)
{
    if (!p->looked && !p->failed) {
        p->ahead = next_token(p);
        p->looked = true;
    }
    return p->ahead;
}

bool flow_parse__at_word(const FlowParser *p, const char *word)
{
    size_t len = strlen(word);
    return p->token.type == T_NAME && p->token.end - p->token.begin == len &&
           memcmp(p->lex.text + p->token.begin, word, len) == 0;
}

bool flow_parse__skip_word(FlowParser *p, const char *word)
{
    if (!flow_parse__at_word(p, word))
        return false;
    flow_parse__advance(p);
    return true;
}

bool flow_parse__skip(FlowParser *p, FlowTokenType type)
{
    if (p->token.type != type)
        return false;
    flow_parse__advance(p);
    return true;
}

const char *flow_parse__describe(const FlowParser *p, FlowToken token, char space[64])
{
    if (token.type != T_NAME)
        return flow_token__text(token.type);
    size_t len = token.end - token.begin;
    snprintf(space, 64, "%.*s", (int)(len < 60 ? len : 60), p->lex.text + token.begin);
    return space;
}

size_t flow_parse__blame(const FlowParser *p)
{
    return p->token.type == T_EOF ? p->last_at : p->token.at;
}

bool flow_parse__expected(FlowParser *p, const char *what)
{
    char space[64];
    if (p->token.type == T_EOF)
        flow_parse__fail(p, flow_parse__blame(p), "unexpected end of template, expected '%s'.", what);
    else
        flow_parse__fail(p, flow_parse__blame(p), "expected token '%s', got '%s'", what,
                         flow_parse__describe(p, p->token, space));
    return false;
}

bool flow_parse__expect(FlowParser *p, FlowTokenType type)
{
    if (p->failed)
        return false;
    if (p->token.type != type)
        return flow_parse__expected(p, flow_token__text(type));
    flow_parse__advance(p);
    return true;
}

bool flow_parse(const char *text, size_t len, bool expression, const FlowTemplateLimits *limits,
                FlowArena *arena, FlowParsed *ret, FlowTemplateError *error, size_t *ret_at)
{
    FlowParser p;
    flow_lex__init(&p.lex, text, len, expression);
    memset((char *)&p + sizeof p.lex, 0, sizeof p - sizeof p.lex);
    p.arena = arena;
    p.max_depth = limits->parse_depth;
    p.error = error;
    FlowAstList body_list = {0};
    flow_parse__advance(&p);
    if (expression) {
        FlowAst *node = flow_parse__node(&p, AST_PRINT, 0);
        FlowAst *value = node != NULL ? flow_parse__tuple(&p, 0) : NULL;
        if (value != NULL && p.token.type != T_EOF) {
            char space[64];
            flow_parse__fail(&p, p.token.at, "expected the end of the expression, got '%s'",
                             flow_parse__describe(&p, p.token, space));
        }
        if (value != NULL) {
            node->left = value;
            flow_ast__append(&body_list, node);
        }
    } else {
        flow_parse__statements(&p, NULL, &body_list);
    }
    if (p.failed) {
        *ret_at = p.error_at;
        return false;
    }
    *ret = (FlowParsed){
        .body = body_list, .has_autoescape = p.has_autoescape, .atoms = p.atoms, .atom_count = p.atom_count};
    return true;
}
