/*
 * op_list.h - what the machine can do, in one list: the enum, the names, the effect on the stack, the
 * disassembler come from it.
 *
 * An instruction has three operands: a (8 bits), b (16 bits), c (32 bits). "value" is what an instruction
 * takes from or puts on the stack; `effect` is how the stack grows. SITE stands for -(arguments of the call
 * site c) + 1 and COUNT for 1 - c.
 */
#define EFFECT_SITE  100
#define EFFECT_COUNT 101

#define FLOW_OP_MAP(X)                                                                                       \
    /*  name          effect        operands and meaning */                                                  \
    X(TEXT, 0)              /* print constant c */                                                           \
    X(CONST, 1)             /* constant c */                                                                 \
    X(LOCAL, 1)             /* slot b; name c when it is missing */                                          \
    X(OUTER, 1)             /* slot b of the a-th function outside */                                        \
    X(GLOBAL, 1)            /* name c of the context */                                                      \
    X(STORE, -1)            /* into slot b */                                                                \
    X(SET_GLOBAL, 0)        /* slot b = name c, may be missing */                                            \
    X(SET_MISSING, 0)       /* slot b */                                                                     \
    X(SET_COPY, 0)          /* slot b = slot c of the a-th function outside, may be missing */               \
    X(IF_MISSING_COPY, 0)   /* the same when slot b is missing */                                            \
    X(IF_MISSING_GLOBAL, 0) /* slot b = name c when slot b is missing */                                     \
    X(SET_SELF, 0)          /* slot b = self */                                                              \
    X(CHAIN, 1)             /* chain c: a name and the keys behind it */                                     \
    X(PRINT_CHAIN, 0)       /* the same, printed */                                                          \
    X(KEY, 0)               /* value.key c */                                                                \
    X(ITEM, -1)             /* value[index] */                                                               \
    X(SLICE, -3)            /* value[from:to:step], none for what is left out */                             \
    X(LOOP_FIELD, 1)        /* field c of the loop in slot b of the a-th function outside */                 \
    X(PRINT_LOOP_FIELD, 0)  /* the same, printed */                                                          \
    X(PRINT, -1)            /* a: as it is, whatever autoescape says */                                      \
    X(RESULT, -1)           /* printed, or the end when the value itself is wanted */                        \
    X(POP, -1)                                                                                               \
    X(LIST, EFFECT_COUNT)                                                                                    \
    X(TUPLE, EFFECT_COUNT)                                                                                   \
    X(DICT, EFFECT_COUNT) /* c values: key, value, key, value ... */                                         \
    X(CONCAT, EFFECT_COUNT)                                                                                  \
    X(NOT, 0)                                                                                                \
    X(NEG, 0)                                                                                                \
    X(POS, 0)                                                                                                \
    X(BINARY, -1)        /* operator a */                                                                    \
    X(COMPARE, -1)       /* operator a */                                                                    \
    X(COMPARE_CHAIN, -1) /* left op right: false jumps to c with False, else right stays */                  \
    X(ISLANDS, 0)        /* the upper two values: those in mask a came from islands */                       \
    X(JUMP, 0)           /* to c */                                                                          \
    X(JUMP_FALSE, -1)    /* to c */                                                                          \
    X(JUMP_TRUE, -1)     /* to c */                                                                          \
    X(AND, -1)           /* jumps to c with the value when it is false, else drops it */                     \
    X(OR, -1)                                                                                                \
    X(FILTER, EFFECT_SITE)                                                                                   \
    X(TEST, EFFECT_SITE)                                                                                     \
    X(CALL, EFFECT_SITE)                                                                                     \
    X(CALL_METHOD, EFFECT_SITE)                                                                              \
    X(PRINT_CALL, EFFECT_SITE) /* the same as CALL, printed: a macro writes straight to the output */        \
    X(LOOP_BEGIN, -1)          /* over value, state in slot b; a: LOOP_EXTENDED */                           \
    X(LOOP_NEXT, 1)            /* the next item of the loop in slot b, or to c */                            \
    X(LOOP_END, 0)             /* jumps to c unless the loop in slot b had no turn (its else follows) */     \
    X(LOOP_CALL, -1)           /* the recursive loop of function c over value */                             \
    X(LIST_NEW, 0)             /* slot b = [] */                                                             \
    X(LIST_ADD, -1)            /* to the list in slot b */                                                   \
    X(UNPACK, 0)               /* value into c values, the first one uppermost; effect c - 1 */              \
    X(DUP, 1)                                                                                                \
    X(MACRO, 1)           /* a macro of function c */                                                        \
    X(CAPTURE, 0)         /* what is printed from here on ... */                                             \
    X(CAPTURED, 1)        /* ... as a string */                                                              \
    X(SET_ATTRIBUTE, -2)  /* namespace.key c = value; namespace uppermost */                                 \
    X(PARAM_GIVEN, 0)     /* jumps to c unless slot b is missing */                                          \
    X(PARAM_UNDEFINED, 0) /* slot b = undefined because parameter c was not given */                         \
    X(AUTOESCAPE, -1)     /* slot b = what it was; now as value says */                                      \
    X(AUTOESCAPE_END, 0)  /* back to slot b */                                                               \
    X(UNDEFINED, 1)       /* an undefined value with hint constant c; a: no error when strict */             \
    X(FAIL, 0)            /* message constant c; a: FlowTemplateErrorKind */                                 \
    X(RETURN, 0)
