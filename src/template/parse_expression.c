/*
 * parse_expression.c - expressions, after Jinja's grammar. Tightest first: postfix, unary + and -, filters and
 * tests (on that operand), **, * / // %, ~, + -, comparisons and in, not, and, or, inline if.
 */
#include <string.h>

#include "template/parse.h"

/* ---- displays ---- */

static FlowAst *list_display(FlowParser *p)
{
    FlowAst *node = flow_parse__node(p, AST_LIST, p->token.at);
    if (node == NULL)
        return NULL;
    flow_parse__advance(p);
    while (p->token.type != T_RBRACKET) {
        if (node->items.count != 0 && !flow_parse__expect(p, T_COMMA))
            return NULL;
        if (p->token.type == T_RBRACKET)
            break;
        FlowAst *item = flow_parse__expression(p, true);
        if (item == NULL)
            return NULL;
        flow_ast__append(&node->items, item);
    }
    return flow_parse__expect(p, T_RBRACKET) ? node : NULL;
}

static FlowAst *dict_display(FlowParser *p)
{
    FlowAst *node = flow_parse__node(p, AST_DICT, p->token.at);
    if (node == NULL)
        return NULL;
    flow_parse__advance(p);
    while (p->token.type != T_RBRACE) {
        if (node->items.count != 0 && !flow_parse__expect(p, T_COMMA))
            return NULL;
        if (p->token.type == T_RBRACE)
            break;
        FlowAst *pair = flow_parse__node(p, AST_DICT, p->token.at);
        if (pair == NULL)
            return NULL;
        pair->left = flow_parse__expression(p, true);
        if (pair->left == NULL || !flow_parse__expect(p, T_COLON))
            return NULL;
        pair->right = flow_parse__expression(p, true);
        if (pair->right == NULL)
            return NULL;
        flow_ast__append(&node->items, pair);
    }
    return flow_parse__expect(p, T_RBRACE) ? node : NULL;
}

static bool at_tuple_end(const FlowParser *p)
{
    FlowTokenType type = p->token.type;
    return type == T_PRINT_END || type == T_BLOCK_END || type == T_RPAREN || type == T_ISLAND_END ||
           type == T_EOF;
}

FlowAst *flow_parse__tuple(FlowParser *p, unsigned how)
{
    FlowAst *tuple = NULL, *only = NULL;
    size_t at = p->token.at;
    for (;;) {
        if (only != NULL && !flow_parse__expect(p, T_COMMA))
            return NULL;
        if (at_tuple_end(p))
            break;
        FlowAst *item = how & TUPLE_SIMPLE ? flow_parse__primary(p)
                                           : flow_parse__expression(p, !(how & TUPLE_NO_IF_ELSE));
        if (item == NULL)
            return NULL;
        if (only == NULL)
            only = item;
        if (tuple == NULL && p->token.type == T_COMMA) {
            tuple = flow_parse__node(p, AST_TUPLE, at);
            if (tuple == NULL)
                return NULL;
        }
        if (tuple != NULL)
            flow_ast__append(&tuple->items, item);
        if (p->token.type != T_COMMA)
            break;
    }
    if (tuple != NULL)
        return tuple;
    if (only != NULL)
        return only;
    if (how & TUPLE_PARENS)
        return flow_parse__node(p, AST_TUPLE, at);
    char space[64];
    return flow_parse__fail(p, p->token.at, "Expected an expression, got '%s'",
                            flow_parse__describe(p, p->token, space));
}

/* ---- operands ---- */

FlowAst *flow_parse__primary(FlowParser *p)
{
    FlowAst *node = NULL;
    char space[64];
    switch (p->token.type) {
    case T_NAME:
        return flow_parse__name(p);
    case T_STRING:
        return flow_parse__string(p);
    case T_INTEGER:
        return flow_parse__integer(p);
    case T_FLOAT:
        return flow_parse__float(p);
    case T_LPAREN:
        flow_parse__advance(p);
        node = flow_parse__tuple(p, TUPLE_PARENS);
        return node != NULL && flow_parse__expect(p, T_RPAREN) ? node : NULL;
    case T_LBRACKET:
        return list_display(p);
    case T_LBRACE:
        return dict_display(p);
    case T_ISLAND_BEGIN:
        node = flow_parse__node(p, AST_ISLAND, p->token.at);
        if (node == NULL)
            return NULL;
        flow_parse__advance(p);
        node->left = flow_parse__tuple(p, 0);
        return node->left != NULL && flow_parse__expect(p, T_ISLAND_END) ? node : NULL;
    default:
        return flow_parse__fail(p, p->token.at, "unexpected '%s'", flow_parse__describe(p, p->token, space));
    }
}

/* The arguments of a call, a filter or a test; the current token is "(". */
static bool arguments(FlowParser *p, FlowAstArgs *args)
{
    size_t at = p->token.at;
    bool first = true;
    flow_parse__advance(p);
    for (; p->token.type != T_RPAREN; first = false) {
        if (!first && !flow_parse__expect(p, T_COMMA))
            return false;
        if (p->token.type == T_RPAREN)
            break;
        bool in_order = true;
        if (p->token.type == T_MUL) {
            in_order = args->spread == NULL && args->named_spread == NULL;
            flow_parse__advance(p);
            args->spread = flow_parse__expression(p, true);
        } else if (p->token.type == T_POW) {
            in_order = args->named_spread == NULL;
            flow_parse__advance(p);
            args->named_spread = flow_parse__expression(p, true);
        } else if (p->token.type == T_NAME && flow_parse__look(p).type == T_ASSIGN) {
            in_order = args->named_spread == NULL;
            const FlowAtom *name =
                flow_parse__atom(p, flow_token__begin(p, p->token), flow_token__length(p->token));
            FlowAst *named = flow_parse__node(p, AST_ISLAND, p->token.at);
            flow_parse__advance(p);
            flow_parse__advance(p);
            FlowAst *value = flow_parse__expression(p, true);
            if (named == NULL || value == NULL)
                return false;
            named->name = name;
            named->left = value;
            flow_ast__append(&args->named, named);
        } else {
            in_order = args->spread == NULL && args->named_spread == NULL && args->named.count == 0;
            FlowAst *value = flow_parse__expression(p, true);
            if (value == NULL)
                return false;
            flow_ast__append(&args->positional, value);
        }
        if (p->failed)
            return false;
        if (!in_order) {
            flow_parse__fail(p, at, "invalid syntax for function call expression");
            return false;
        }
    }
    return flow_parse__expect(p, T_RPAREN);
}

static FlowAst *call(FlowParser *p, FlowAst *callee)
{
    FlowAst *node = flow_parse__node(p, AST_CALL, p->token.at);
    if (node == NULL)
        return NULL;
    node->left = callee;
    return arguments(p, &node->args) ? node : NULL;
}

/* One part of what stands in brackets: an expression or a slice. */
static FlowAst *subscript_part(FlowParser *p)
{
    FlowAst *part[3] = {NULL, NULL, NULL};
    size_t at = p->token.at;
    if (p->token.type != T_COLON) {
        part[0] = flow_parse__expression(p, true);
        if (part[0] == NULL || p->token.type != T_COLON)
            return part[0];
    }
    for (int i = 1; i < 3 && p->token.type == T_COLON; i++) {
        flow_parse__advance(p);
        if (p->token.type != T_COLON && p->token.type != T_RBRACKET && p->token.type != T_COMMA) {
            part[i] = flow_parse__expression(p, true);
            if (part[i] == NULL)
                return NULL;
        }
    }
    FlowAst *node = flow_parse__node(p, AST_SLICE, at);
    if (node != NULL)
        memcpy(node->slice, part, sizeof part);
    return node;
}

static FlowAst *subscript(FlowParser *p, FlowAst *left)
{
    FlowAst *node = flow_parse__node(p, AST_ITEM, p->token.at);
    if (node == NULL)
        return NULL;
    flow_parse__advance(p);
    FlowAst *first = NULL, *tuple = NULL;
    while (p->token.type != T_RBRACKET) {
        if (first != NULL && !flow_parse__expect(p, T_COMMA))
            return NULL;
        FlowAst *part = subscript_part(p);
        if (part == NULL)
            return NULL;
        if (first != NULL && tuple == NULL) {
            tuple = flow_parse__node(p, AST_TUPLE, node->at);
            if (tuple == NULL)
                return NULL;
            flow_ast__append(&tuple->items, first);
        }
        if (first == NULL)
            first = part;
        else
            flow_ast__append(&tuple->items, part);
    }
    if (!flow_parse__expect(p, T_RBRACKET))
        return NULL;
    if (first == NULL) {
        first = flow_parse__node(p, AST_TUPLE, node->at);
        if (first == NULL)
            return NULL;
    }
    if (tuple == NULL && first->kind == AST_SLICE) { /* a slice takes the node's own place */
        first->left = left;
        first->at = node->at;
        return first;
    }
    for (FlowAst *part = tuple != NULL ? tuple->items.first : NULL; part != NULL; part = part->next) {
        if (part->kind == AST_SLICE)
            return flow_parse__fail(p, part->at,
                                    "a slice stands alone in its brackets: x[a:b], not x[a:b, c]");
    }
    node->left = left;
    node->right = tuple != NULL ? tuple : first;
    return node;
}

static FlowAst *attribute(FlowParser *p, FlowAst *left)
{
    size_t at = p->token.at;
    flow_parse__advance(p);
    FlowToken t = p->token;
    if (t.type == T_NAME) {
        FlowAst *node = flow_parse__node(p, AST_ATTR, at);
        if (node == NULL)
            return NULL;
        node->left = left;
        node->name = flow_parse__atom(p, flow_token__begin(p, t), flow_token__length(t));
        flow_parse__advance(p);
        return node->name != NULL ? node : NULL;
    }
    if (t.type != T_INTEGER)
        return flow_parse__fail(p, t.at, "expected name or number");
    FlowAst *node = flow_parse__node(p, AST_ITEM, at);
    if (node == NULL)
        return NULL;
    node->left = left;
    node->right = flow_parse__integer(p);
    return node->right != NULL ? node : NULL;
}

static FlowAst *postfix(FlowParser *p, FlowAst *node)
{
    while (node != NULL) {
        if (p->token.type == T_DOT)
            node = attribute(p, node);
        else if (p->token.type == T_LBRACKET)
            node = subscript(p, node);
        else if (p->token.type == T_LPAREN)
            node = call(p, node);
        else
            break;
    }
    return node;
}

/* name, or name.name.name as one. */
static const FlowAtom *dotted_name(FlowParser *p)
{
    FlowToken t = p->token;
    if (!flow_parse__expect(p, T_NAME))
        return NULL;
    if (p->token.type != T_DOT)
        return flow_parse__atom(p, flow_token__begin(p, t), flow_token__length(t));
    size_t end = t.end;
    while (p->token.type == T_DOT) {
        flow_parse__advance(p);
        end = p->token.end;
        if (!flow_parse__expect(p, T_NAME))
            return NULL;
    }
    return flow_parse__atom(p, p->lex.text + t.begin, end - t.begin);
}

FlowAst *flow_parse__filters(FlowParser *p, FlowAst *left, bool at_name)
{
    while (p->token.type == T_PIPE || at_name) {
        if (!at_name)
            flow_parse__advance(p);
        at_name = false;
        FlowAst *node = flow_parse__node(p, AST_FILTER, p->token.at);
        if (node == NULL)
            return NULL;
        node->left = left;
        node->name = dotted_name(p);
        if (node->name == NULL || (p->token.type == T_LPAREN && !arguments(p, &node->args)))
            return NULL;
        left = node;
    }
    return left;
}

static FlowAst *test(FlowParser *p, FlowAst *left)
{
    FlowAst *node = flow_parse__node(p, AST_TEST, p->token.at);
    if (node == NULL)
        return NULL;
    flow_parse__advance(p);
    node->flag = flow_parse__skip_word(p, "not");
    node->left = left;
    node->at = p->token.at;
    node->name = dotted_name(p);
    if (node->name == NULL)
        return NULL;
    switch (p->token.type) {
    case T_LPAREN:
        return arguments(p, &node->args) ? node : NULL;
    case T_NAME:
        if (flow_parse__at_word(p, "else") || flow_parse__at_word(p, "or") || flow_parse__at_word(p, "and"))
            return node;
        if (flow_parse__at_word(p, "is"))
            return flow_parse__fail(p, p->token.at, "You cannot chain multiple tests with is");
        break;
    case T_STRING:
    case T_INTEGER:
    case T_FLOAT:
    case T_LBRACKET:
    case T_LBRACE:
    case T_ISLAND_BEGIN:
        break;
    default:
        return node;
    }
    FlowAst *argument = flow_parse__primary(p);
    if (argument != NULL)
        argument = postfix(p, argument);
    if (argument == NULL)
        return NULL;
    flow_ast__append(&node->args.positional, argument);
    return node;
}

static FlowAst *unary(FlowParser *p, bool with_filter)
{
    FlowAst *node;
    if (p->token.type == T_SUB || p->token.type == T_ADD) {
        node = flow_parse__node(p, AST_UNARY, p->token.at);
        if (node == NULL || !flow_parse__enter(p))
            return NULL;
        node->op = p->token.type == T_SUB ? OP_NEG : OP_POS;
        flow_parse__advance(p);
        node->left = unary(p, false);
        flow_parse__leave(p);
        if (node->left == NULL)
            return NULL;
    } else {
        node = flow_parse__primary(p);
    }
    node = postfix(p, node);
    while (with_filter && node != NULL) {
        if (p->token.type == T_PIPE)
            node = flow_parse__filters(p, node, false);
        else if (flow_parse__at_word(p, "is"))
            node = test(p, node);
        else if (p->token.type == T_LPAREN)
            node = call(p, node);
        else
            break;
    }
    return node;
}

/* ---- operators ---- */

enum { LEVEL_ADD, LEVEL_CONCAT, LEVEL_MUL, LEVEL_POW, LEVEL_UNARY };

static const struct {
    uint8_t level, op;
} binary[] = {
    [T_ADD] = {LEVEL_ADD, OP_ADD}, [T_SUB] = {LEVEL_ADD, OP_SUB}, [T_MUL] = {LEVEL_MUL, OP_MUL},
    [T_DIV] = {LEVEL_MUL, OP_DIV}, [T_MOD] = {LEVEL_MUL, OP_MOD}, [T_FLOORDIV] = {LEVEL_MUL, OP_FLOORDIV},
    [T_POW] = {LEVEL_POW, OP_POW},
};

static bool is_binary(FlowTokenType type, unsigned level)
{
    return type >= T_ADD && type <= T_POW && binary[type].level == level;
}

static FlowAst *concat(FlowParser *p);

/* + and -; * / // %; **: all lean to the left. */
static FlowAst *arithmetic(FlowParser *p, unsigned level)
{
    FlowAst *left = level == LEVEL_ADD   ? concat(p)
                    : level == LEVEL_MUL ? arithmetic(p, LEVEL_POW)
                                         : unary(p, true);
    while (left != NULL && is_binary(p->token.type, level)) {
        FlowAst *node = flow_parse__node(p, AST_BINARY, p->token.at);
        if (node == NULL)
            return NULL;
        node->op = binary[p->token.type].op;
        flow_parse__advance(p);
        node->left = left;
        node->right = level == LEVEL_ADD   ? concat(p)
                      : level == LEVEL_MUL ? arithmetic(p, LEVEL_POW)
                                           : unary(p, true);
        left = node->right != NULL ? node : NULL;
    }
    return left;
}

static FlowAst *concat(FlowParser *p)
{
    FlowAst *first = arithmetic(p, LEVEL_MUL);
    if (first == NULL || p->token.type != T_TILDE)
        return first;
    FlowAst *node = flow_parse__node(p, AST_CONCAT, p->token.at);
    if (node == NULL)
        return NULL;
    flow_ast__append(&node->items, first);
    while (p->token.type == T_TILDE) {
        flow_parse__advance(p);
        FlowAst *part = arithmetic(p, LEVEL_MUL);
        if (part == NULL)
            return NULL;
        flow_ast__append(&node->items, part);
    }
    return node;
}

/* The comparison that begins at the current token, whose tokens are skipped; -1 when there is none. */
static int comparison_operator(FlowParser *p)
{
    static const uint8_t ops[] = {
        [T_EQ] = OP_EQ, [T_NE] = OP_NE, [T_LT] = OP_LT, [T_LE] = OP_LE, [T_GT] = OP_GT, [T_GE] = OP_GE};
    FlowTokenType type = p->token.type;
    if (type >= T_EQ && type <= T_GE) {
        flow_parse__advance(p);
        return ops[type];
    }
    if (type != T_NAME)
        return -1;
    if (flow_parse__skip_word(p, "in"))
        return OP_IN;
    if (flow_parse__at_word(p, "not")) {
        FlowToken next = flow_parse__look(p);
        if (next.type == T_NAME && flow_token__is_word(p, next, "in")) {
            flow_parse__advance(p);
            flow_parse__advance(p);
            return OP_NOT_IN;
        }
    }
    return -1;
}

static FlowAst *comparison(FlowParser *p)
{
    FlowAst *first = arithmetic(p, LEVEL_ADD);
    FlowAst *node = NULL;
    while (first != NULL) {
        size_t at = p->token.at;
        int op = comparison_operator(p);
        if (op < 0)
            break;
        if (node == NULL) {
            node = flow_parse__node(p, AST_COMPARE, at);
            if (node == NULL)
                return NULL;
            node->left = first;
        }
        FlowAst *pair = flow_parse__node(p, AST_COMPARE, at);
        FlowAst *right = arithmetic(p, LEVEL_ADD);
        if (pair == NULL || right == NULL)
            return NULL;
        pair->op = (uint8_t)op;
        pair->right = right;
        flow_ast__append(&node->items, pair);
    }
    return node != NULL ? node : first;
}

static FlowAst *not_expression(FlowParser *p)
{
    if (!flow_parse__at_word(p, "not"))
        return comparison(p);
    FlowAst *node = flow_parse__node(p, AST_UNARY, p->token.at);
    if (node == NULL || !flow_parse__enter(p))
        return NULL;
    flow_parse__advance(p);
    node->op = OP_NOT;
    node->left = not_expression(p);
    flow_parse__leave(p);
    return node->left != NULL ? node : NULL;
}

static FlowAst *and_or(FlowParser *p, bool is_or)
{
    FlowAst *left = is_or ? and_or(p, false) : not_expression(p);
    while (left != NULL && flow_parse__at_word(p, is_or ? "or" : "and")) {
        FlowAst *node = flow_parse__node(p, is_or ? AST_OR : AST_AND, p->token.at);
        if (node == NULL)
            return NULL;
        flow_parse__advance(p);
        node->left = left;
        node->right = is_or ? and_or(p, false) : not_expression(p);
        left = node->right != NULL ? node : NULL;
    }
    return left;
}

FlowAst *flow_parse__expression(FlowParser *p, bool with_if_else)
{
    if (!flow_parse__enter(p))
        return NULL;
    FlowAst *value = and_or(p, true);
    while (with_if_else && value != NULL && flow_parse__at_word(p, "if")) {
        FlowAst *node = flow_parse__node(p, AST_IF_ELSE, p->token.at);
        if (node == NULL)
            return NULL;
        flow_parse__advance(p);
        node->target = value;
        node->test = and_or(p, true);
        if (node->test == NULL)
            return NULL;
        if (flow_parse__skip_word(p, "else")) {
            node->iter = flow_parse__expression(p, true);
            if (node->iter == NULL)
                return NULL;
        }
        value = node;
    }
    flow_parse__leave(p);
    return value;
}

bool flow_parse__as_target(FlowParser *p, FlowAst *node)
{
    static const char *const names[] = {
        [AST_CONST] = "const",
        [AST_LIST] = "list",
        [AST_DICT] = "dict",
        [AST_ISLAND] = "island",
    };
    if (node->kind == AST_NAME) {
        node->store = true;
        return true;
    }
    if (node->kind == AST_TUPLE) {
        for (FlowAst *item = node->items.first; item != NULL; item = item->next) {
            if (!flow_parse__enter(p) || !flow_parse__as_target(p, item))
                return false;
            flow_parse__leave(p);
        }
        return true;
    }
    const char *name = node->kind < sizeof names / sizeof names[0] ? names[node->kind] : NULL;
    flow_parse__fail(p, node->at, "can't assign to '%s'", name != NULL ? name : "expression");
    return false;
}
