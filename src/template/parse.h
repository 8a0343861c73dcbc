/* parse.h - shared by the two halves of the parser: expressions and statements. Private to the room. */
#ifndef FLOW_TEMPLATE_PARSE_H
#define FLOW_TEMPLATE_PARSE_H

#include <string.h>

#include "template/ast.h"
#include "template/lex.h"

enum { FLOW_PARSE_MAX_END_WORDS = 4 };

/* The words that may end a block, innermost block first: for messages. */
typedef struct FlowParseBlock {
    const struct FlowParseBlock *outer;
    const char *tag;                            /* "if" */
    const char *ends[FLOW_PARSE_MAX_END_WORDS]; /* "elif", "else", "endif" */
} FlowParseBlock;

typedef struct FlowParser {
    FlowLex lex;
    FlowToken token, ahead; /* ahead: the one behind it, when `looked` */
    bool looked;
    uint32_t last_at; /* of the token before */
    FlowArena *arena;
    unsigned depth, max_depth;
    bool has_autoescape;
    const FlowParseBlock *blocks;
    FlowAtom **atoms; /* by id */
    size_t atom_count, atom_capacity;
    uint32_t *atom_index; /* id + 1 by hash */
    size_t atom_index_size;
    FlowTemplateError *error;
    size_t error_at;
    bool failed;
} FlowParser;

/* All answer NULL (or false) when failed; the first failure is kept. */
FlowAst *flow_parse__fail(FlowParser *p, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
FlowAst *flow_parse__limit(FlowParser *p, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
FlowAst *flow_parse__node(FlowParser *p, FlowAstKind kind, size_t at);
const FlowAtom *flow_parse__atom(FlowParser *p, const char *text, size_t len);
void flow_ast__append(FlowAstList *list, FlowAst *node);

void flow_parse__advance(FlowParser *p);
FlowToken flow_parse__look(FlowParser *p);
/* Is the current token the name `word`? */
bool flow_parse__at_word(const FlowParser *p, const char *word);
bool flow_parse__skip_word(FlowParser *p, const char *word);
bool flow_parse__skip(FlowParser *p, FlowTokenType type);
bool flow_parse__expect(FlowParser *p, FlowTokenType type);
/* Where a message about the current token points: the end of the text is blamed on what stood before it. */
size_t flow_parse__blame(const FlowParser *p);
/* Fails because something else was expected; answers false. */
bool flow_parse__expected(FlowParser *p, const char *what);
/* How messages call the current token. */
const char *flow_parse__describe(const FlowParser *p, FlowToken token, char space[64]);
/* Every recursion of the parser passes through here. */
bool flow_parse__enter(FlowParser *p);
void flow_parse__leave(FlowParser *p);

static inline const char *flow_token__begin(const FlowParser *p, FlowToken t)
{
    return p->lex.text + t.begin;
}

static inline size_t flow_token__length(FlowToken t)
{
    return t.end - t.begin;
}

static inline bool flow_token__is_word(const FlowParser *p, FlowToken t, const char *word)
{
    size_t len = strlen(word);
    return flow_token__length(t) == len && memcmp(flow_token__begin(p, t), word, len) == 0;
}

/* ---- literals (parse_literal.c); each begins at the current token ---- */

FlowAst *flow_parse__integer(FlowParser *p);
FlowAst *flow_parse__float(FlowParser *p);
/* Strings in a row are one. */
FlowAst *flow_parse__string(FlowParser *p);
/* A name, or true, false, none. */
FlowAst *flow_parse__name(FlowParser *p);

/* ---- expressions ---- */

FlowAst *flow_parse__expression(FlowParser *p, bool with_if_else);

enum { TUPLE_SIMPLE = 1, TUPLE_NO_IF_ELSE = 2, TUPLE_PARENS = 4 };

/* One expression, or a tuple of them when there are commas. */
FlowAst *flow_parse__tuple(FlowParser *p, unsigned how);
FlowAst *flow_parse__primary(FlowParser *p);
/* The filters behind `left` (NULL in a set or filter block); `at_name`: the first "|" is already gone. */
FlowAst *flow_parse__filters(FlowParser *p, FlowAst *left, bool at_name);
/* Makes the expression something that is assigned to. */
bool flow_parse__as_target(FlowParser *p, FlowAst *node);

/* ---- statements ---- */

/* Until the end of the text, or a tag of `block`'s end words, which stays the current token. */
bool flow_parse__statements(FlowParser *p, const FlowParseBlock *block, FlowAstList *ret);

#endif
