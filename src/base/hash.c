#include "base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

typedef struct Sip {
    uint64_t a, b, c, d;
} Sip;

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void round_once(Sip *s)
{
    s->a += s->b, s->b = rotate(s->b, 13), s->b ^= s->a, s->a = rotate(s->a, 32);
    s->c += s->d, s->d = rotate(s->d, 16), s->d ^= s->c;
    s->a += s->d, s->d = rotate(s->d, 21), s->d ^= s->a;
    s->c += s->b, s->b = rotate(s->b, 17), s->b ^= s->c, s->c = rotate(s->c, 32);
}

static uint64_t little_endian(const unsigned char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? x : __builtin_bswap64(x);
}

static Sip absorb(const unsigned char *p, size_t len, const uint64_t key[2], uint64_t wide)
{
    Sip s = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d ^ wide, key[0] ^ 0x6c7967656e657261,
             key[1] ^ 0x7465646279746573};
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t m = little_endian(p);
        s.d ^= m;
        round_once(&s);
        round_once(&s);
        s.a ^= m;
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    s.d ^= last;
    round_once(&s);
    round_once(&s);
    s.a ^= last;
    return s;
}

static uint64_t squeeze(Sip *s)
{
    for (int i = 0; i < 4; i++)
        round_once(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

uint64_t flow_siphash(const void *bytes, size_t len, const uint64_t key[2])
{
    Sip s = absorb(bytes, len, key, 0);
    s.c ^= 0xff;
    return squeeze(&s);
}

FlowHash128 flow_siphash128(const void *bytes, size_t len, const uint64_t key[2])
{
    Sip s = absorb(bytes, len, key, 0xee);
    FlowHash128 hash;
    s.c ^= 0xee;
    hash.low = squeeze(&s);
    s.b ^= 0xdd;
    hash.high = squeeze(&s);
    return hash;
}

static uint64_t process_key[2];

static void make_process_key(void)
{
    flow_random_bytes(process_key, sizeof process_key);
}

uint64_t flow_hash_bytes(const void *bytes, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_process_key);
    return flow_siphash(bytes, len, process_key);
}

void flow_random_bytes(void *to, size_t len)
{
    char *next = to;
    while (len > 0) {
        ssize_t got = getrandom(next, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        next += got;
        len -= (size_t)got;
    }
}
