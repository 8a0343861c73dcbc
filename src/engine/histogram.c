#include "engine/histogram.h"

#include <string.h>

/* The middle of a bucket's range. */
static int64_t bucket_value(unsigned bucket)
{
    unsigned sub = 1u << FLOW_HISTOGRAM_SUB_BITS;
    if (bucket < sub)
        return bucket;
    unsigned shift = (bucket >> FLOW_HISTOGRAM_SUB_BITS) - 1;
    int64_t low = (int64_t)(sub + (bucket & (sub - 1))) << shift;
    return low + ((INT64_C(1) << shift) >> 1);
}

static int64_t percentile(const uint64_t *sums, uint64_t count, unsigned percent, int64_t max_ns)
{
    uint64_t rank = (count * percent + 99) / 100, seen = 0;
    for (unsigned i = 0; i < FLOW_HISTOGRAM_BUCKETS; i++) {
        seen += sums[i];
        if (seen >= rank) {
            int64_t value = bucket_value(i);
            return value < max_ns ? value : max_ns;
        }
    }
    return max_ns;
}

void flow_histogram_read(const FlowHistogram *const *histograms, unsigned count, FlowLatency *ret_latency)
{
    uint64_t sums[FLOW_HISTOGRAM_BUCKETS] = {0};
    FlowLatency latency = {0};
    for (unsigned h = 0; h < count; h++) {
        const FlowHistogram *histogram = histograms[h];
        if (histogram == NULL)
            continue;
        for (unsigned i = 0; i < FLOW_HISTOGRAM_BUCKETS; i++) {
            uint64_t n = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
            sums[i] += n;
            latency.count += n;
        }
        int64_t max_ns = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
        if (max_ns > latency.max_ns)
            latency.max_ns = max_ns;
    }
    if (latency.count > 0) {
        latency.p50_ns = percentile(sums, latency.count, 50, latency.max_ns);
        latency.p90_ns = percentile(sums, latency.count, 90, latency.max_ns);
        latency.p99_ns = percentile(sums, latency.count, 99, latency.max_ns);
    }
    *ret_latency = latency;
}
