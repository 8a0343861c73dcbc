/* parse_statement.c - tags, and the bodies between them. */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "template/parse.h"

static FlowAst *name_target(FlowParser *p)
{
    FlowToken t = p->token;
    if (!flow_parse__expect(p, T_NAME))
        return NULL;
    FlowAst *node = flow_parse__node(p, AST_NAME, t.at);
    if (node == NULL)
        return NULL;
    static const char *const reserved[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strlen(reserved[i]) == t.end - t.begin &&
            memcmp(reserved[i], p->lex.text + t.begin, t.end - t.begin) == 0)
            return flow_parse__fail(p, t.at, "can't assign to 'name'");
    }
    node->name = flow_parse__atom(p, p->lex.text + t.begin, t.end - t.begin);
    node->store = true;
    return node->name != NULL ? node : NULL;
}

static FlowAst *target(FlowParser *p)
{
    FlowAst *node = flow_parse__tuple(p, TUPLE_SIMPLE);
    return node != NULL && flow_parse__as_target(p, node) ? node : NULL;
}

/* "'elif' or 'else' or 'endif'" */
static void join_words(char *to, size_t size, const char *const *words)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t i = 0; i < FLOW_PARSE_MAX_END_WORDS && words[i] != NULL && n < size; i++)
        n += (size_t)snprintf(to + n, size - n, "%s'%s'", i == 0 ? "" : " or ", words[i]);
}

/* A tag that can't stand here (NULL: the text ended), with what would be right. */
static bool fail_tag(FlowParser *p, const char *tag, size_t at, const FlowParseBlock *block)
{
    char wanted[80] = "";
    bool nested = false;
    if (block != NULL)
        join_words(wanted, sizeof wanted, block->ends);
    for (const FlowParseBlock *b = block; tag != NULL && b != NULL; b = b->outer) {
        for (size_t i = 0; i < FLOW_PARSE_MAX_END_WORDS && b->ends[i] != NULL; i++)
            nested |= strcmp(b->ends[i], tag) == 0;
    }
    char start[96];
    if (tag == NULL)
        snprintf(start, sizeof start, "Unexpected end of template.");
    else
        snprintf(start, sizeof start, "Encountered unknown tag '%.40s'.", tag);
    if (block == NULL)
        flow_parse__fail(p, at, "%s", start);
    else
        flow_parse__fail(
            p, at, "%s %s %s. The innermost block that needs to be closed is '%s'.", start,
            nested
                ? "You probably made a nesting mistake: it fits an outer block, but here we are looking for"
                : "Here one of these is looked for:",
            wanted, block->tag);
    return false;
}

/* The body behind a tag whose "%}" is the current token; afterwards the current token is the end word. */
static bool body(FlowParser *p, const FlowParseBlock *block, FlowAstList *ret)
{
    flow_parse__skip(p, T_COLON);
    if (!flow_parse__expect(p, T_BLOCK_END) || !flow_parse__statements(p, block, ret))
        return false;
    if (p->token.type == T_EOF)
        return fail_tag(p, NULL, flow_parse__blame(p), block);
    return true;
}

/* The same for a block with one end word, which is skipped. */
static bool whole_body(FlowParser *p, const char *tag, const char *end, FlowAstList *ret)
{
    FlowParseBlock block = {p->blocks, tag, {end}};
    if (!body(p, &block, ret))
        return false;
    flow_parse__advance(p);
    return !p->failed;
}

static bool signature(FlowParser *p, FlowAst *node)
{
    FlowAstParams *params = flow_arena_calloc(p->arena, 1, sizeof *params);
    if (params == NULL)
        return flow_parse__limit(p, p->token.at, "the template needs too much memory to compile") != NULL;
    node->params = params;
    if (!flow_parse__expect(p, T_LPAREN))
        return false;
    while (p->token.type != T_RPAREN) {
        if (params->names.count != 0 && !flow_parse__expect(p, T_COMMA))
            return false;
        FlowAst *name = name_target(p);
        if (name == NULL)
            return false;
        if (flow_parse__skip(p, T_ASSIGN)) {
            FlowAst *value = flow_parse__expression(p, true);
            if (value == NULL)
                return false;
            flow_ast__append(&params->defaults, value);
        } else if (params->defaults.count != 0) {
            flow_parse__fail(p, p->token.at, "non-default argument follows default argument");
            return false;
        }
        flow_ast__append(&params->names, name);
    }
    return flow_parse__expect(p, T_RPAREN);
}

/* ---- statements: each begins with its word as the current token ---- */

static FlowAst *parse_set(FlowParser *p, FlowAst *node)
{
    FlowToken first = p->token;
    if (first.type == T_NAME && flow_parse__look(p).type == T_DOT) {
        node->target = flow_parse__primary(p);
        flow_parse__advance(p);
        FlowToken attr = p->token;
        if (node->target == NULL || !flow_parse__expect(p, T_NAME))
            return NULL;
        node->name = flow_parse__atom(p, p->lex.text + attr.begin, attr.end - attr.begin);
        if (node->name == NULL)
            return NULL;
    } else {
        node->target = target(p);
        if (node->target == NULL)
            return NULL;
    }
    if (flow_parse__skip(p, T_ASSIGN)) {
        node->iter = flow_parse__tuple(p, 0);
        return node->iter != NULL ? node : NULL;
    }
    node->kind = AST_SET_BLOCK;
    if (p->token.type == T_PIPE) {
        node->test = flow_parse__filters(p, NULL, false);
        if (node->test == NULL)
            return NULL;
    }
    return whole_body(p, "set", "endset", &node->body) ? node : NULL;
}

static FlowAst *parse_for(FlowParser *p, FlowAst *node)
{
    node->target = target(p);
    if (node->target == NULL)
        return NULL;
    if (!flow_parse__skip_word(p, "in")) {
        flow_parse__expected(p, "in");
        return NULL;
    }
    node->iter = flow_parse__tuple(p, TUPLE_NO_IF_ELSE);
    if (node->iter == NULL)
        return NULL;
    if (flow_parse__skip_word(p, "if")) {
        node->test = flow_parse__expression(p, true);
        if (node->test == NULL)
            return NULL;
    }
    node->flag = flow_parse__skip_word(p, "recursive");
    FlowParseBlock block = {p->blocks, "for", {"endfor", "else"}};
    if (!body(p, &block, &node->body))
        return NULL;
    bool has_else = flow_parse__at_word(p, "else");
    flow_parse__advance(p);
    if (has_else && !whole_body(p, "for", "endfor", &node->otherwise))
        return NULL;
    return node;
}

static FlowAst *parse_if(FlowParser *p, FlowAst *node)
{
    FlowAst *branch = node;
    for (;;) {
        branch->test = flow_parse__tuple(p, TUPLE_NO_IF_ELSE);
        FlowParseBlock block = {p->blocks, "if", {"elif", "else", "endif"}};
        if (branch->test == NULL || !body(p, &block, &branch->body))
            return NULL;
        if (flow_parse__at_word(p, "elif")) {
            branch = flow_parse__node(p, AST_IF, p->token.at);
            if (branch == NULL)
                return NULL;
            flow_ast__append(&node->elifs, branch);
            flow_parse__advance(p);
            continue;
        }
        bool has_else = flow_parse__at_word(p, "else");
        flow_parse__advance(p);
        if (has_else && !whole_body(p, "if", "endif", &node->otherwise))
            return NULL;
        return node;
    }
}

/* Targets are AST_SET nodes in `elifs`: target and iter (the value). */
static FlowAst *parse_with(FlowParser *p, FlowAst *node)
{
    while (p->token.type != T_BLOCK_END && p->token.type != T_COLON) {
        if (node->elifs.count != 0 && !flow_parse__expect(p, T_COMMA))
            return NULL;
        FlowAst *set = flow_parse__node(p, AST_SET, p->token.at);
        if (set == NULL)
            return NULL;
        set->target = target(p);
        if (set->target == NULL || !flow_parse__expect(p, T_ASSIGN))
            return NULL;
        set->iter = flow_parse__expression(p, true);
        if (set->iter == NULL)
            return NULL;
        flow_ast__append(&node->elifs, set);
    }
    return whole_body(p, "with", "endwith", &node->body) ? node : NULL;
}

static FlowAst *parse_autoescape(FlowParser *p, FlowAst *node)
{
    p->has_autoescape = true;
    node->test = flow_parse__expression(p, true);
    return node->test != NULL && whole_body(p, "autoescape", "endautoescape", &node->body) ? node : NULL;
}

static bool is_blank(const FlowParser *p, const FlowAst *node)
{
    return node->kind == AST_TEXT && node->end > node->begin &&
           strspn(p->lex.text + node->begin, " \t\n\r\f\v") >= node->end - node->begin;
}

static FlowAst *parse_block(FlowParser *p, FlowAst *node)
{
    FlowToken t = p->token;
    if (!flow_parse__expect(p, T_NAME))
        return NULL;
    node->name = flow_parse__atom(p, p->lex.text + t.begin, t.end - t.begin);
    if (node->name == NULL)
        return NULL;
    node->flag = flow_parse__skip_word(p, "scoped");
    bool required = flow_parse__skip_word(p, "required");
    if (p->token.type == T_SUB)
        return flow_parse__fail(
            p, p->token.at,
            "Block names in Jinja have to be valid Python identifiers and may not contain "
            "hyphens, use an underscore instead.");
    if (!whole_body(p, "block", "endblock", &node->body))
        return NULL;
    for (FlowAst *child = node->body.first; required && child != NULL; child = child->next) {
        if (!is_blank(p, child))
            return flow_parse__fail(p, flow_parse__blame(p),
                                    "Required blocks can only contain comments or whitespace");
    }
    if (required) { /* nothing can ever fill it: there is no template to inherit from */
        node->kind = AST_NO_LOADER;
        node->target = NULL;
    }
    flow_parse__skip_word(p, node->name->text);
    return node;
}

static FlowAst *parse_call(FlowParser *p, FlowAst *node)
{
    size_t at = node->at;
    if (p->token.type == T_LPAREN && !signature(p, node))
        return NULL;
    node->iter = flow_parse__expression(p, true);
    if (node->iter == NULL)
        return NULL;
    if (node->iter->kind != AST_CALL)
        return flow_parse__fail(p, at, "expected call");
    return whole_body(p, "call", "endcall", &node->body) ? node : NULL;
}

static FlowAst *parse_filter(FlowParser *p, FlowAst *node)
{
    node->test = flow_parse__filters(p, NULL, true);
    return node->test != NULL && whole_body(p, "filter", "endfilter", &node->body) ? node : NULL;
}

static FlowAst *parse_macro(FlowParser *p, FlowAst *node)
{
    FlowAst *name = name_target(p);
    if (name == NULL)
        return NULL;
    node->name = name->name;
    return signature(p, node) && whole_body(p, "macro", "endmacro", &node->body) ? node : NULL;
}

static void skip_context_words(FlowParser *p)
{
    if (!flow_parse__at_word(p, "with") && !flow_parse__at_word(p, "without"))
        return;
    FlowToken next = flow_parse__look(p);
    if (next.type == T_NAME && next.end - next.begin == 7 &&
        memcmp(p->lex.text + next.begin, "context", 7) == 0) {
        flow_parse__advance(p);
        flow_parse__advance(p);
    }
}

static FlowAst *parse_extends(FlowParser *p, FlowAst *node)
{
    return flow_parse__expression(p, true) != NULL ? node : NULL;
}

static FlowAst *parse_include(FlowParser *p, FlowAst *node)
{
    if (flow_parse__expression(p, true) == NULL)
        return NULL;
    if (flow_parse__at_word(p, "ignore")) {
        FlowToken next = flow_parse__look(p);
        if (next.type == T_NAME && next.end - next.begin == 7 &&
            memcmp(p->lex.text + next.begin, "missing", 7) == 0) {
            flow_parse__advance(p);
            flow_parse__advance(p);
        }
    }
    skip_context_words(p);
    return p->failed ? NULL : node;
}

static FlowAst *parse_import(FlowParser *p, FlowAst *node)
{
    if (flow_parse__expression(p, true) == NULL)
        return NULL;
    if (!flow_parse__skip_word(p, "as")) {
        flow_parse__expected(p, "as");
        return NULL;
    }
    if (name_target(p) == NULL)
        return NULL;
    skip_context_words(p);
    return p->failed ? NULL : node;
}

static FlowAst *parse_from(FlowParser *p, FlowAst *node)
{
    if (flow_parse__expression(p, true) == NULL)
        return NULL;
    if (!flow_parse__skip_word(p, "import")) {
        flow_parse__expected(p, "import");
        return NULL;
    }
    do {
        FlowAst *name = name_target(p);
        if (name == NULL)
            return NULL;
        if (name->name->text[0] == '_')
            return flow_parse__fail(p, name->at, "names starting with an underline can not be imported");
        if (flow_parse__skip_word(p, "as") && name_target(p) == NULL)
            return NULL;
        skip_context_words(p);
    } while (flow_parse__skip(p, T_COMMA));
    return p->failed ? NULL : node;
}

static const struct {
    const char *word;
    FlowAstKind kind;
    FlowAst *(*parse)(FlowParser *p, FlowAst *node);
} statements[] = {
    {"if", AST_IF, parse_if},
    {"for", AST_FOR, parse_for},
    {"set", AST_SET, parse_set},
    {"with", AST_WITH, parse_with},
    {"macro", AST_MACRO, parse_macro},
    {"call", AST_CALL_BLOCK, parse_call},
    {"filter", AST_FILTER_BLOCK, parse_filter},
    {"block", AST_BLOCK, parse_block},
    {"autoescape", AST_AUTOESCAPE, parse_autoescape},
    {"include", AST_NO_LOADER, parse_include},
    {"import", AST_NO_LOADER, parse_import},
    {"from", AST_NO_LOADER, parse_from},
    {"extends", AST_NO_LOADER, parse_extends},
};

/* {% print a, b %} becomes one AST_PRINT each. */
static bool parse_print(FlowParser *p, FlowAstList *ret)
{
    size_t at = p->token.at;
    bool first = true;
    flow_parse__advance(p);
    for (; p->token.type != T_BLOCK_END; first = false) {
        if (!first && !flow_parse__expect(p, T_COMMA))
            return false;
        FlowAst *node = flow_parse__node(p, AST_PRINT, at);
        if (node == NULL)
            return false;
        node->left = flow_parse__expression(p, true);
        if (node->left == NULL)
            return false;
        flow_ast__append(ret, node);
    }
    return true;
}

static void hint_tag(FlowParser *p, const char *tag)
{
    static const char *const known[] = {"if",   "elif",    "else",   "endif",      "for",          "endfor",
                                        "set",  "endset",  "with",   "endwith",    "macro",        "endmacro",
                                        "call", "endcall", "filter", "endfilter",  "block",        "endblock",
                                        "raw",  "endraw",  "print",  "autoescape", "endautoescape"};
    if (strcmp(tag, "break") == 0 || strcmp(tag, "continue") == 0) {
        snprintf(p->error->hint, sizeof p->error->hint, "use a condition: {%% for x in list if … %%}");
        return;
    }
    if (strcmp(tag, "do") == 0) {
        snprintf(p->error->hint, sizeof p->error->hint, "use {%% set … %%}");
        return;
    }
    const char *nearest = flow_nearest_name(tag, strlen(tag), known, sizeof known / sizeof known[0]);
    if (nearest != NULL && strcmp(nearest, tag) != 0)
        snprintf(p->error->hint, sizeof p->error->hint, "did you mean '%s'?", nearest);
}

static bool statement(FlowParser *p, FlowAstList *ret)
{
    FlowToken t = p->token;
    if (t.type != T_NAME) {
        flow_parse__fail(p, flow_parse__blame(p), "tag name expected");
        return false;
    }
    if (flow_parse__at_word(p, "print"))
        return parse_print(p, ret);
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!flow_parse__at_word(p, statements[i].word))
            continue;
        FlowAst *node = flow_parse__node(p, statements[i].kind, t.at);
        if (node == NULL || !flow_parse__enter(p))
            return false;
        flow_parse__advance(p);
        node = statements[i].parse(p, node);
        flow_parse__leave(p);
        if (node == NULL || p->failed)
            return false;
        flow_ast__append(ret, node);
        return true;
    }
    char word[64];
    flow_parse__describe(p, t, word);
    fail_tag(p, word, t.at, p->blocks);
    hint_tag(p, word);
    return false;
}

static bool at_end_word(const FlowParser *p, const FlowParseBlock *block)
{
    for (size_t i = 0; block != NULL && i < FLOW_PARSE_MAX_END_WORDS && block->ends[i] != NULL; i++) {
        if (flow_parse__at_word(p, block->ends[i]))
            return true;
    }
    return false;
}

bool flow_parse__statements(FlowParser *p, const FlowParseBlock *block, FlowAstList *ret)
{
    const FlowParseBlock *outer = p->blocks;
    p->blocks = block;
    bool done = false;
    while (!done && !p->failed) {
        FlowToken t = p->token;
        FlowAst *node;
        switch (t.type) {
        case T_EOF:
            done = true;
            break;
        case T_DATA:
            node = flow_parse__node(p, AST_TEXT, t.at);
            if (node == NULL)
                break;
            node->begin = t.begin;
            node->end = t.end;
            flow_ast__append(ret, node);
            flow_parse__advance(p);
            break;
        case T_PRINT_BEGIN:
            node = flow_parse__node(p, AST_PRINT, t.at);
            flow_parse__advance(p);
            if (node == NULL)
                break;
            node->left = flow_parse__tuple(p, 0);
            if (node->left == NULL)
                break;
            flow_ast__append(ret, node);
            flow_parse__expect(p, T_PRINT_END);
            break;
        default: /* T_BLOCK_BEGIN */
            flow_parse__advance(p);
            if (at_end_word(p, block)) {
                done = true;
                break;
            }
            if (statement(p, ret))
                flow_parse__expect(p, T_BLOCK_END);
            break;
        }
    }
    p->blocks = outer;
    return !p->failed;
}
