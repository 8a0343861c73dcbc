#include "template/big.h"

#include <ctype.h>
#include <float.h>
#include <gmp.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"

struct FlowBig {
    int size; /* limbs, negative for a negative number; as mpz has it */
    mp_limb_t limbs[];
};

/* A read-only view of an integer as GMP wants it; `limb` is its room when it is a small one. */
static void view(FlowVal v, mpz_t to, mp_limb_t *limb)
{
    if (v.type == V_BIG) {
        mpz_roinit_n(to, v.big->limbs, v.big->size);
        return;
    }
    *limb = v.i < 0 ? -(mp_limb_t)v.i : (mp_limb_t)v.i;
    mpz_roinit_n(to, limb, v.i < 0 ? -1 : v.i > 0);
}

static bool fits_int64(const mpz_t z, int64_t *ret)
{
    size_t bits = mpz_sizeinbase(z, 2);
    if (bits > 64)
        return false;
    uint64_t magnitude = mpz_size(z) != 0 ? mpz_getlimbn(z, 0) : 0;
    if (mpz_sgn(z) >= 0) {
        if (magnitude > INT64_MAX)
            return false;
        *ret = (int64_t)magnitude;
    } else {
        if (magnitude > (uint64_t)INT64_MAX + 1)
            return false;
        *ret = (int64_t)-magnitude;
    }
    return true;
}

static FlowBig *copy_to(void *memory, const mpz_t z)
{
    FlowBig *big = memory;
    size_t limbs = mpz_size(z);
    big->size = mpz_sgn(z) < 0 ? -(int)limbs : (int)limbs;
    memcpy(big->limbs, mpz_limbs_read(z), limbs * sizeof(mp_limb_t));
    return big;
}

static size_t bytes_of(const mpz_t z)
{
    return sizeof(FlowBig) + mpz_size(z) * sizeof(mp_limb_t);
}

static bool too_large(FlowVm *vm)
{
    return flow_vm__limit(vm, "an integer of more than %u bits", vm->limits.integer_bits);
}

static bool result(FlowVm *vm, const mpz_t z, FlowVal *ret)
{
    int64_t small;
    if (fits_int64(z, &small)) {
        *ret = val_int(small);
        return true;
    }
    if (mpz_sizeinbase(z, 2) > vm->limits.integer_bits)
        return too_large(vm);
    void *memory = flow_vm__alloc(vm, bytes_of(z));
    if (memory == NULL)
        return false;
    *ret = (FlowVal){.type = V_BIG, .big = copy_to(memory, z)};
    return true;
}

bool flow_big__parse_literal(FlowArena *arena, const char *digits, FlowVal *ret)
{
    int base = 10;
    if (digits[0] == '0' && digits[1] != '\0' && !isdigit((unsigned char)digits[1])) {
        char letter = (char)(digits[1] | 0x20);
        base = letter == 'x' ? 16 : letter == 'o' ? 8 : 2;
        digits += 2;
    }
    size_t len = strlen(digits);
    if (base == 10 && len <= 18) {
        int64_t small = 0;
        for (size_t i = 0; i < len; i++)
            small = small * 10 + (digits[i] - '0');
        *ret = val_int(small);
        return true;
    }
    if (len > flow_template_default_limits.integer_bits)
        return false;
    mpz_t z;
    bool ok = mpz_init_set_str(z, digits, base) == 0;
    int64_t small;
    if (ok && fits_int64(z, &small)) {
        *ret = val_int(small);
    } else if (ok && mpz_sizeinbase(z, 2) <= flow_template_default_limits.integer_bits) {
        void *memory = flow_arena_alloc(arena, bytes_of(z));
        ok = memory != NULL;
        if (ok)
            *ret = (FlowVal){.type = V_BIG, .big = copy_to(memory, z)};
    } else {
        ok = false;
    }
    mpz_clear(z);
    return ok;
}

/* Whether a ** b stays within the bound, and is worth computing. */
static bool power_fits(FlowVm *vm, const mpz_t a, const mpz_t b)
{
    if (mpz_cmpabs_ui(a, 1) <= 0)
        return true;
    size_t bits = mpz_sizeinbase(a, 2);
    return mpz_fits_ulong_p(b) && mpz_get_ui(b) <= vm->limits.integer_bits &&
           (bits - 1) * mpz_get_ui(b) <= vm->limits.integer_bits;
}

bool flow_big__binary(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, FlowVal *ret)
{
    mpz_t x, y, z;
    mp_limb_t limb_x, limb_y;
    view(a, x, &limb_x);
    view(b, y, &limb_y);
    if (!flow_vm__charge(vm, 1 + mpz_size(x) + mpz_size(y)))
        return false;
    if (op == OP_POW && !power_fits(vm, x, y))
        return too_large(vm);
    mpz_init(z);
    switch (op) {
    case OP_ADD:
        mpz_add(z, x, y);
        break;
    case OP_SUB:
        mpz_sub(z, x, y);
        break;
    case OP_MUL:
        mpz_mul(z, x, y);
        break;
    case OP_FLOORDIV:
        mpz_fdiv_q(z, x, y);
        break;
    case OP_MOD:
        mpz_fdiv_r(z, x, y);
        break;
    case OP_POW:
        if (mpz_cmpabs_ui(x, 1) <= 0) /* 0, 1, -1: the exponent may be of any size */
            mpz_set_si(z, mpz_sgn(y) == 0 ? 1 : mpz_sgn(x) >= 0 ? mpz_sgn(x) : mpz_even_p(y) ? 1 : -1);
        else
            mpz_pow_ui(z, x, mpz_get_ui(y));
        break;
    default:
        mpz_neg(z, x);
        break;
    }
    bool ok = result(vm, z, ret);
    mpz_clear(z);
    return ok;
}

/* z * 2^-shift rounded to the nearest double, ties to even; `sticky`: there is a bit more behind z. */
static double nearest(const mpz_t z, size_t shift, bool sticky)
{
    size_t bits = mpz_sizeinbase(z, 2);
    if (mpz_sgn(z) == 0)
        return 0;
    mpz_t top;
    mpz_init(top);
    int64_t exponent = -(int64_t)shift;
    mpz_abs(top, z);
    if (bits > 64) {
        size_t cut = bits - 64;
        sticky |= mpz_scan1(top, 0) < cut;
        mpz_fdiv_q_2exp(top, top, cut);
        exponent += (int64_t)cut;
    }
    uint64_t m = mpz_getlimbn(top, 0);
    mpz_clear(top);
    int extra = m != 0 ? 64 - __builtin_clzll(m) - DBL_MANT_DIG : 0;
    if (extra > 0) {
        uint64_t rest = m & ((UINT64_C(1) << extra) - 1);
        uint64_t half = UINT64_C(1) << (extra - 1);
        m >>= extra;
        exponent += extra;
        if (rest > half || (rest == half && (sticky || (m & 1))))
            m++;
    }
    double number = exponent > 4000 ? INFINITY : ldexp((double)m, (int)(exponent < -4000 ? -4000 : exponent));
    return mpz_sgn(z) < 0 ? -number : number;
}

bool flow_big__divide(FlowVm *vm, FlowVal a, FlowVal b, double *ret)
{
    mpz_t x, y, q, r;
    mp_limb_t limb_x, limb_y;
    view(a, x, &limb_x);
    view(b, y, &limb_y);
    if (!flow_vm__charge(vm, 1 + mpz_size(x) + mpz_size(y)))
        return false;
    size_t bits_x = mpz_sizeinbase(x, 2), bits_y = mpz_sizeinbase(y, 2);
    size_t shift = bits_x < bits_y + 66 ? bits_y + 66 - bits_x : 0;
    mpz_init(q);
    mpz_init(r);
    mpz_mul_2exp(q, x, shift);
    mpz_tdiv_qr(q, r, q, y);
    double number = nearest(q, shift, mpz_sgn(r) != 0);
    mpz_clear(q);
    mpz_clear(r);
    if (isinf(number))
        return flow_vm__fail(vm, "the result of this division is too large for a float");
    *ret = number;
    return true;
}

int flow_big__compare(FlowVal a, FlowVal b)
{
    mpz_t x, y;
    mp_limb_t limb_x, limb_y;
    view(a, x, &limb_x);
    view(b, y, &limb_y);
    int order = mpz_cmp(x, y);
    return (order > 0) - (order < 0);
}

int flow_big__compare_double(FlowVal a, double number)
{
    if (isinf(number))
        return number > 0 ? -1 : 1;
    mpz_t x;
    mp_limb_t limb;
    view(a, x, &limb);
    int order = mpz_cmp_d(x, number);
    return (order > 0) - (order < 0);
}

double flow_big__to_double(FlowVal big)
{
    mpz_t x;
    mp_limb_t limb;
    view(big, x, &limb);
    return nearest(x, 0, false);
}

bool flow_big__from_double(FlowVm *vm, double number, FlowVal *ret)
{
    if (number >= -9223372036854775808.0 && number < 9223372036854775808.0) {
        *ret = val_int((int64_t)number);
        return true;
    }
    mpz_t z;
    mpz_init_set_d(z, number);
    bool ok = result(vm, z, ret);
    mpz_clear(z);
    return ok;
}

bool flow_big__parse(FlowVm *vm, const char *text, size_t len, int base, FlowVal *ret, bool *ret_bad)
{
    *ret_bad = false;
    bool negative = len > 0 && text[0] == '-';
    size_t start = len > 0 && (text[0] == '-' || text[0] == '+');
    if (start == len) {
        *ret_bad = true;
        return false;
    }
    for (size_t i = start; i < len; i++) {
        int c = (unsigned char)text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : isalpha(c) && c < 0x80 ? (c | 0x20) - 'a' + 10 : 99;
        if (digit >= base) {
            *ret_bad = true;
            return false;
        }
    }
    while (start < len - 1 && text[start] == '0')
        start++;
    if (len - start > vm->limits.integer_bits)
        return too_large(vm);
    if (!flow_vm__charge(vm, 1 + len - start))
        return false;
    char *digits = flow_vm__alloc(vm, len - start + 1);
    if (digits == NULL)
        return false;
    memcpy(digits, text + start, len - start);
    digits[len - start] = '\0';
    mpz_t z;
    mpz_init_set_str(z, digits, base);
    if (negative)
        mpz_neg(z, z);
    bool ok = result(vm, z, ret);
    mpz_clear(z);
    return ok;
}

void flow_big__write(FlowBuf *to, FlowVal big, int base, bool upper)
{
    mpz_t x;
    mp_limb_t limb;
    view(big, x, &limb);
    size_t room = mpz_sizeinbase(x, base) + 2;
    if (!flow_buf_reserve(to, room))
        return;
    mpz_get_str(to->data + to->len, upper ? -base : base, x);
    to->len += strlen(to->data + to->len);
}

int flow_big__sign(FlowVal big)
{
    return (big.big->size > 0) - (big.big->size < 0);
}

const FlowBig *flow_big__copy(FlowArena *arena, const FlowBig *big)
{
    size_t limbs = (size_t)(big->size < 0 ? -big->size : big->size);
    size_t bytes = sizeof *big + limbs * sizeof(mp_limb_t);
    FlowBig *copy = flow_arena_alloc(arena, bytes);
    return copy != NULL ? memcpy(copy, big, bytes) : NULL;
}

uint64_t flow_big__hash(FlowVal big)
{
    size_t limbs = (size_t)(big.big->size < 0 ? -big.big->size : big.big->size);
    return flow_hash_bytes(big.big->limbs, limbs * sizeof(mp_limb_t)) ^ (uint64_t)(big.big->size < 0);
}
