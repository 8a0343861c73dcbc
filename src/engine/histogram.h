/*
 * histogram.h - durations in buckets: four to each power of two, so a percentile is right within an eighth of
 * its value.
 *
 * One thread records, any thread reads at the same time: buckets are relaxed atomics with a single writer, so
 * recording is a plain increment, and a reader that meets a writer sees a count that is at most a moment old.
 */
#ifndef FLOW_ENGINE_HISTOGRAM_H
#define FLOW_ENGINE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    FLOW_HISTOGRAM_SUB_BITS = 2,
    /* 2^43 ns are 2.4 hours; what takes longer falls into the last bucket (`max` stays exact). */
    FLOW_HISTOGRAM_BUCKETS = (43 - FLOW_HISTOGRAM_SUB_BITS + 1) << FLOW_HISTOGRAM_SUB_BITS
};

typedef struct FlowHistogram {
    _Atomic uint64_t buckets[FLOW_HISTOGRAM_BUCKETS];
    _Atomic int64_t max_ns;
} FlowHistogram;

/* What the counts of one or several histograms come to; nanoseconds, 0 when nothing was recorded. */
typedef struct FlowLatency {
    uint64_t count;
    int64_t p50_ns, p90_ns, p99_ns, max_ns;
} FlowLatency;

static inline unsigned flow_histogram_bucket(int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    if (value < (1u << FLOW_HISTOGRAM_SUB_BITS))
        return (unsigned)value;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = exponent - FLOW_HISTOGRAM_SUB_BITS;
    unsigned bucket = ((shift + 1) << FLOW_HISTOGRAM_SUB_BITS) +
                      (unsigned)((value >> shift) & ((1u << FLOW_HISTOGRAM_SUB_BITS) - 1));
    return bucket < FLOW_HISTOGRAM_BUCKETS ? bucket : FLOW_HISTOGRAM_BUCKETS - 1;
}

static inline void flow_histogram_record(FlowHistogram *histogram, int64_t ns)
{
    _Atomic uint64_t *bucket = &histogram->buckets[flow_histogram_bucket(ns)];
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed))
        atomic_store_explicit(&histogram->max_ns, ns, memory_order_relaxed);
}

/* Adds `count` histograms up (NULLs are skipped). Any thread. */
void flow_histogram_read(const FlowHistogram *const *histograms, unsigned count, FlowLatency *ret_latency);

#endif
