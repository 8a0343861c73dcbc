/*
 * hash.h - SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), 64 and 128 bits.
 * With the process's random key for tables that hostile input fills; with a fixed key where the result is
 * stored.
 */
#ifndef FLOW_BASE_HASH_H
#define FLOW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct FlowHash128 {
    uint64_t low, high;
} FlowHash128;

uint64_t flow_siphash(const void *bytes, size_t len, const uint64_t key[2]);
FlowHash128 flow_siphash128(const void *bytes, size_t len, const uint64_t key[2]);

/* Keyed anew in every process: never store the result. Any thread. */
uint64_t flow_hash_bytes(const void *bytes, size_t len);

/* Random bytes from the kernel; aborts when it has none. Any thread. */
void flow_random_bytes(void *to, size_t len);

#endif
