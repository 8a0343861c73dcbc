/* bench.h - what the programs of this benchmark share. */
#ifndef BENCH_JSON_BENCH_H
#define BENCH_JSON_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the text and writes it again; answers how many bytes were written. 0 means that it failed. */
typedef size_t (*BenchRound)(const char *text, size_t length);

size_t bench_yajl(const char *text, size_t length);
size_t bench_jansson(const char *text, size_t length);
size_t bench_json_c(const char *text, size_t length);
size_t bench_simdjson(const char *text, size_t length);
size_t bench_simdjson_read(const char *text, size_t length);

/* CPU time of this thread: what else the machine does matters less. */
static inline uint64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline int bench_by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static inline double bench_median(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, bench_by_number);
    return count % 2 == 1 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

#ifdef __cplusplus
}
#endif

#endif
