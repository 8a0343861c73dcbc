/*
 * lex.h - a template's text as tokens, one at a time. Private to the room.
 *
 * The lexer never looks back: every byte is looked at a bounded number of times, whatever the text is. Inside
 * a tag it balances brackets, so that `}}` ends an expression only where no bracket is open.
 */
#ifndef FLOW_TEMPLATE_LEX_H
#define FLOW_TEMPLATE_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*      name            how messages call it */
#define FLOW_TOKEN_MAP(X)                                                                                    \
    X(EOF, "end of template")                                                                                \
    X(DATA, "template data / text")                                                                          \
    X(PRINT_BEGIN, "begin of print statement")                                                               \
    X(PRINT_END, "end of print statement")                                                                   \
    X(BLOCK_BEGIN, "begin of statement block")                                                               \
    X(BLOCK_END, "end of statement block")                                                                   \
    X(ISLAND_BEGIN, "{{")                                                                                    \
    X(ISLAND_END, "}}")                                                                                      \
    X(NAME, "name")                                                                                          \
    X(STRING, "string")                                                                                      \
    X(INTEGER, "integer")                                                                                    \
    X(FLOAT, "float")                                                                                        \
    X(ADD, "+")                                                                                              \
    X(SUB, "-")                                                                                              \
    X(MUL, "*")                                                                                              \
    X(DIV, "/")                                                                                              \
    X(FLOORDIV, "//")                                                                                        \
    X(MOD, "%")                                                                                              \
    X(POW, "**")                                                                                             \
    X(TILDE, "~")                                                                                            \
    X(EQ, "==")                                                                                              \
    X(NE, "!=")                                                                                              \
    X(LT, "<")                                                                                               \
    X(LE, "<=")                                                                                              \
    X(GT, ">")                                                                                               \
    X(GE, ">=")                                                                                              \
    X(ASSIGN, "=")                                                                                           \
    X(DOT, ".")                                                                                              \
    X(COLON, ":")                                                                                            \
    X(PIPE, "|")                                                                                             \
    X(COMMA, ",")                                                                                            \
    X(SEMICOLON, ";")                                                                                        \
    X(LPAREN, "(")                                                                                           \
    X(RPAREN, ")")                                                                                           \
    X(LBRACKET, "[")                                                                                         \
    X(RBRACKET, "]")                                                                                         \
    X(LBRACE, "{")                                                                                           \
    X(RBRACE, "}")                                                                                           \
    X(ERROR, "error")

typedef enum FlowTokenType {
#define X(name, text) T_##name,
    FLOW_TOKEN_MAP(X)
#undef X
} FlowTokenType;

/* A piece of the source. STRING: between the quotes, escapes not yet resolved. DATA: white space already cut. */
typedef struct FlowToken {
    FlowTokenType type;
    uint32_t at; /* where it begins in the source; for messages */
    uint32_t begin, end;
} FlowToken;

enum { FLOW_LEX_BRACKETS = 1024 };

typedef struct FlowLex {
    const char *text; /* newlines are "\n" only */
    size_t len, pos;
    enum { LEX_TEXT, LEX_PRINT, LEX_BLOCK, LEX_EXPRESSION } mode;
    bool strip_next; /* a "-" closed the last tag: the white space that follows it goes */
    unsigned open;
    char closer[FLOW_LEX_BRACKETS]; /* what closes the open brackets; 'I' for an island */
    bool too_deep;                  /* the T_ERROR is a bound, not bad syntax */
    char error[128];                /* of T_ERROR */
    size_t error_at;
} FlowLex;

/* `expression`: the text is one expression with islands, not a template. */
void flow_lex__init(FlowLex *lex, const char *text, size_t len, bool expression);
/* T_EOF again and again at the end; T_ERROR with `error` set. */
FlowToken flow_lex__next(FlowLex *lex);
const char *flow_token__text(FlowTokenType type);

#endif
