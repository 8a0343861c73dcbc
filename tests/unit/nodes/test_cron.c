/*
 * Cron expressions and time zones. The tables of times were made with Python's zoneinfo, by looking at every second or
 * minute in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "harness.h"
#include "nodes/cron.h"

/* clang-format off */
static const struct {
    const char *cron, *zone;
    int64_t after, next;
} cron_rows[] = {
    {"* * * * *", "America/New_York", 1711846798, 1711846800},
    {"* * * * *", "Asia/Kathmandu", 1729987177, 1729987200},
    {"* * * * *", "Asia/Kolkata", 2374101000, 2374101060},
    {"* * * * *", "Europe/London", 1710046799, 1710046800},
    {"* * * * *", "Pacific/Apia", 1711843837, 1711843860},
    {"*/10 * * * * *", "America/St_Johns", 2374101001, 2374101010},
    {"*/10 * * * * *", "Asia/Kathmandu", 1710046799, 1710046800},
    {"*/10 * * * * *", "Europe/London", 1711843837, 1711843840},
    {"*/10 * * * * *", "Pacific/Apia", 1710046799, 1710046800},
    {"*/10 * * * * *", "Pacific/Apia", 2392849799, 2392849800},
    {"*/15 * * * *", "Africa/Cairo", 1710046801, 1710047700},
    {"*/15 * * * *", "Africa/Cairo", 1729988400, 1729989000},
    {"*/15 * * * *", "America/New_York", 1791042600, 1791043200},
    {"*/15 * * * *", "Asia/Kolkata", 1711843801, 1711844100},
    {"*/15 * * * *", "Pacific/Apia", 1711848599, 1711848600},
    {"*/30 * * * *", "America/New_York", 1710046800, 1710048600},
    {"*/30 * * * *", "America/New_York", 1730609400, 1730610000},
    {"*/30 * * * *", "Australia/Lord_Howe", 1775311200, 1775313000},
    {"*/30 * * * *", "Australia/Lord_Howe", 1791040800, 1791041400},
    {"*/30 * * * *", "Europe/Berlin", 1711843800, 1711845000},
    {"*/30 * * * *", "Europe/Berlin", 1711846799, 1711846800},
    {"*/30 * * * *", "Europe/Berlin", 1729987140, 1729987200},
    {"*/30 * * * *", "Europe/Berlin", 1729988400, 1729989000},
    {"*/30 * * * *", "Europe/Berlin", 2374101000, 2374102800},
    {"*/30 * * * *", "Europe/Berlin", 2392849800, 2392851600},
    {"0 0 * * *", "Africa/Cairo", 1791040800, 1791061200},
    {"0 0 * * *", "America/St_Johns", 1704067199, 1704079800},
    {"0 0 * * *", "Asia/Kathmandu", 1711843801, 1711908900},
    {"0 0 * * *", "Pacific/Apia", 1704067198, 1704106800},
    {"0 0 * * *", "UTC", 1710046800, 1710115200},
    {"0 0 * jan,jul sat", "America/St_Johns", 1704068999, 1704511800},
    {"0 0 * jan,jul sat", "Asia/Kolkata", 2392849799, 2398789800},
    {"0 0 * jan,jul sat", "Australia/Lord_Howe", 1704067199, 1704459600},
    {"0 0 * jan,jul sat", "Europe/Berlin", 1791040801, 1798844400},
    {"0 0 * jan,jul sat", "UTC", 1730609437, 1735948800},
    {"0 0 1 */3 *", "Africa/Cairo", 1729990200, 1735682400},
    {"0 0 1 */3 *", "Asia/Kathmandu", 1710046837, 1711908900},
    {"0 0 1 */3 *", "Asia/Kathmandu", 2392849837, 2398356900},
    {"0 0 1 */3 *", "Asia/Kolkata", 1709121599, 1711909800},
    {"0 0 1 */3 *", "Europe/London", 1710046799, 1711926000},
    {"0 0 1,15 * 3", "Africa/Cairo", 1710046801, 1710280800},
    {"0 0 1,15 * 3", "America/New_York", 2374101037, 2374372800},
    {"0 0 1,15 * 3", "America/St_Johns", 1729988400, 1730255400},
    {"0 0 1,15 * 3", "Asia/Kathmandu", 1791040801, 1791310500},
    {"0 0 1,15 * 3", "Europe/Berlin", 1729988437, 1730242800},
    {"0 12 * * mon-fri", "America/New_York", 1711846836, 1711987200},
    {"0 12 * * mon-fri", "America/St_Johns", 1709121599, 1709134200},
    {"0 12 * * mon-fri", "Australia/Lord_Howe", 1709121637, 1709168400},
    {"0 12 * * mon-fri", "Pacific/Apia", 1709121637, 1709161200},
    {"0 12 * * mon-fri", "Pacific/Apia", 1729988437, 1730070000},
    {"0 2 * * *", "Africa/Cairo", 1710046800, 1710115200},
    {"0 2 * * *", "America/New_York", 1710046800, 1710054000},
    {"0 2 * * *", "America/New_York", 1730609400, 1730617200},
    {"0 2 * * *", "America/New_York", 2392849801, 2392869600},
    {"0 2 * * *", "America/St_Johns", 1704067200, 1704087000},
    {"0 2 * * *", "America/St_Johns", 1710048600, 1710131400},
    {"0 2 * * *", "Australia/Lord_Howe", 1775311200, 1775316600},
    {"0 2 * * *", "Australia/Lord_Howe", 1791040800, 1791041400},
    {"0 2 * * *", "Europe/Berlin", 1711843800, 1711846800},
    {"0 2 * * *", "Europe/Berlin", 1711846799, 1711846800},
    {"0 2 * * *", "Europe/Berlin", 1729987140, 1729987200},
    {"0 2 * * *", "Europe/Berlin", 1729988400, 1730077200},
    {"0 2 * * *", "Europe/Berlin", 2374101000, 2374102800},
    {"0 2 * * *", "Europe/Berlin", 2392849800, 2392938000},
    {"0 22 * * 1-5", "America/New_York", 1730609399, 1730775600},
    {"0 22 * * 1-5", "Australia/Lord_Howe", 1711843837, 1711969200},
    {"0 22 * * 1-5", "Europe/Berlin", 1729987139, 1730149200},
    {"0 22 * * 1-5", "Pacific/Apia", 1711846798, 1711962000},
    {"0 22 * * 1-5", "Pacific/Apia", 1791040799, 1791190800},
    {"0 3 * * 7", "Africa/Cairo", 1704068999, 1704589200},
    {"0 3 * * 7", "Africa/Cairo", 1791040837, 1791072000},
    {"0 3 * * 7", "America/New_York", 1729990200, 1730012400},
    {"0 3 * * 7", "Asia/Kolkata", 1729990200, 1730583000},
    {"0 3 * * 7", "Pacific/Apia", 1730609437, 1731160800},
    {"0 8 ? * 2", "America/New_York", 1711843801, 1712059200},
    {"0 8 ? * 2", "Asia/Kathmandu", 1729988940, 1730168100},
    {"0 8 ? * 2", "Europe/Berlin", 1730609401, 1730790000},
    {"0 8 ? * 2", "UTC", 1704067236, 1704182400},
    {"0 8 ? * 2", "UTC", 1709121601, 1709625600},
    {"0 9-17 * * MON-FRI", "America/St_Johns", 1729988400, 1730115000},
    {"0 9-17 * * MON-FRI", "Asia/Kathmandu", 1710048600, 1710126900},
    {"0 9-17 * * MON-FRI", "Europe/Berlin", 1730611200, 1730707200},
    {"0 9-17 * * MON-FRI", "Pacific/Apia", 1775311199, 1775419200},
    {"0 9-17 * * MON-FRI", "UTC", 1710046799, 1710147600},
    {"15 1,2 * * *", "America/New_York", 1710046800, 1710051300},
    {"15 1,2 * * *", "America/New_York", 1730609400, 1730610900},
    {"15 1,2 * * *", "Australia/Lord_Howe", 1775311200, 1775312100},
    {"15 1,2 * * *", "Australia/Lord_Howe", 1791040800, 1791041400},
    {"15 1,2 * * *", "Europe/Berlin", 1711843800, 1711844100},
    {"15 1,2 * * *", "Europe/Berlin", 1711846799, 1711846800},
    {"15 1,2 * * *", "Europe/Berlin", 1729987140, 1729988100},
    {"15 1,2 * * *", "Europe/Berlin", 1729988400, 1730074500},
    {"15 1,2 * * *", "Europe/Berlin", 2374101000, 2374102800},
    {"15 1,2 * * *", "Europe/Berlin", 2392849800, 2392935300},
    {"15 14 1 * *", "Asia/Kolkata", 1709121599, 1709282700},
    {"15 14 1 * *", "Australia/Lord_Howe", 1709121600, 1709262900},
    {"15 14 1 * *", "Europe/London", 1729987140, 1730470500},
    {"15 14 1 * *", "Europe/London", 2392849799, 2393158500},
    {"15 14 1 * *", "Pacific/Apia", 1730611200, 1733015700},
    {"23 0-20/2 * * *", "America/St_Johns", 1710046801, 1710048600},
    {"23 0-20/2 * * *", "Australia/Lord_Howe", 1709121601, 1709126580},
    {"23 0-20/2 * * *", "Europe/Berlin", 2374101001, 2374102800},
    {"23 0-20/2 * * *", "Pacific/Apia", 1704067199, 1704072180},
    {"23 0-20/2 * * *", "UTC", 1711848599, 1711851780},
    {"30 1 * * *", "America/St_Johns", 1710046837, 1710129600},
    {"30 1 * * *", "America/St_Johns", 1711846798, 1711857600},
    {"30 1 * * *", "America/St_Johns", 1729988437, 1730001600},
    {"30 1 * * *", "Asia/Kathmandu", 2392849801, 2392919100},
    {"30 1 * * *", "Europe/London", 1711845600, 1711846800},
    {"30 2 * * *", "America/New_York", 1710046800, 1710054000},
    {"30 2 * * *", "America/New_York", 1730609400, 1730619000},
    {"30 2 * * *", "Asia/Kathmandu", 1729988401, 1730061900},
    {"30 2 * * *", "Asia/Kolkata", 1729988401, 1730062800},
    {"30 2 * * *", "Australia/Lord_Howe", 1730609401, 1730647800},
    {"30 2 * * *", "Australia/Lord_Howe", 1775311200, 1775318400},
    {"30 2 * * *", "Australia/Lord_Howe", 1791040800, 1791041400},
    {"30 2 * * *", "Europe/Berlin", 1711843800, 1711846800},
    {"30 2 * * *", "Europe/Berlin", 1711846799, 1711846800},
    {"30 2 * * *", "Europe/Berlin", 1729987140, 1729989000},
    {"30 2 * * *", "Europe/Berlin", 1729988400, 1729989000},
    {"30 2 * * *", "Europe/Berlin", 2374101000, 2374102800},
    {"30 2 * * *", "Europe/Berlin", 2392849800, 2392939800},
    {"30 2 * * *", "Pacific/Apia", 2374101001, 2374147800},
    {"30 2 * * *", "UTC", 1711843801, 1711852200},
    {"30 30 3 * * *", "Africa/Cairo", 1730609401, 1730683830},
    {"30 30 3 * * *", "America/St_Johns", 1710046799, 1710050430},
    {"30 30 3 * * *", "Asia/Kathmandu", 1730609399, 1730670330},
    {"30 30 3 * * *", "Australia/Lord_Howe", 1709121599, 1709137830},
    {"30 30 3 * * *", "Pacific/Apia", 2374100999, 2374151430},
    {"45 1 * * *", "Africa/Cairo", 1704067236, 1704152700},
    {"45 1 * * *", "Africa/Cairo", 1711846798, 1711928700},
    {"45 1 * * *", "America/New_York", 1730611200, 1730612700},
    {"45 1 * * *", "Europe/Berlin", 1730609400, 1730681100},
    {"45 1 * * *", "Europe/London", 1791042600, 1791074700},
    {"45 1-2 * * *", "America/New_York", 1710046800, 1710053100},
    {"45 1-2 * * *", "America/New_York", 1730609400, 1730612700},
    {"45 1-2 * * *", "Australia/Lord_Howe", 1775311200, 1775313900},
    {"45 1-2 * * *", "Australia/Lord_Howe", 1791040800, 1791042300},
    {"45 1-2 * * *", "Europe/Berlin", 1711843800, 1711845900},
    {"45 1-2 * * *", "Europe/Berlin", 1711846799, 1711846800},
    {"45 1-2 * * *", "Europe/Berlin", 1729987140, 1729989900},
    {"45 1-2 * * *", "Europe/Berlin", 1729988400, 1729989900},
    {"45 1-2 * * *", "Europe/Berlin", 2374101000, 2374101900},
    {"45 1-2 * * *", "Europe/Berlin", 2392849800, 2392850700},
    {"5 4 * * sun", "Africa/Cairo", 1729988400, 1729991100},
    {"5 4 * * sun", "America/St_Johns", 1710046837, 1710052500},
    {"5 4 * * sun", "Asia/Kolkata", 1729990200, 1730586900},
    {"5 4 * * sun", "Asia/Kolkata", 2392851600, 2393447700},
    {"5 4 * * sun", "UTC", 1709121599, 1709438700},
    {"59 59 23 31 12 *", "Africa/Cairo", 1729990200, 1735682399},
    {"59 59 23 31 12 *", "America/New_York", 1729987139, 1735707599},
    {"59 59 23 31 12 *", "Asia/Kathmandu", 1710046800, 1735668899},
    {"59 59 23 31 12 *", "Europe/London", 1775311237, 1798761599},
    {"59 59 23 31 12 *", "Pacific/Apia", 1729990200, 1735642799},
    {"7/20 * * * *", "Australia/Lord_Howe", 1730609401, 1730610420},
    {"7/20 * * * *", "Europe/Berlin", 1710048600, 1710049620},
    {"7/20 * * * *", "Pacific/Apia", 1730609400, 1730610420},
    {"7/20 * * * *", "Pacific/Apia", 1730611200, 1730611620},
    {"7/20 * * * *", "Pacific/Apia", 1791040799, 1791041220},
};

static const struct {
    const char *zone;
    int64_t time;
    int32_t offset;
} zone_rows[] = {
    {"UTC", 1316869687, 0},
    {"UTC", 15043031606, 0},
    {"UTC", 19826316944, 0},
    {"UTC", 361696322, 0},
    {"UTC", 16915138922, 0},
    {"UTC", 1602227270, 0},
    {"Europe/Berlin", 4011425625, 3600},
    {"Europe/Berlin", -42827904, 3600},
    {"Europe/Berlin", -1571613044, 3600},
    {"Europe/Berlin", 813502026, 3600},
    {"Europe/Berlin", -1087909256, 3600},
    {"Europe/Berlin", 1641457356, 3600},
    {"Europe/Berlin", -1290865033, 3600},
    {"America/New_York", 182185135, -14400},
    {"America/New_York", -1097826170, -18000},
    {"America/New_York", -494941118, -14400},
    {"America/New_York", 579808793, -14400},
    {"America/New_York", -399803107, -14400},
    {"America/New_York", -134566726, -14400},
    {"America/New_York", -419461240, -14400},
    {"Asia/Kolkata", 11803828752, 19800},
    {"Asia/Kolkata", 12763367362, 19800},
    {"Australia/Lord_Howe", 18296252415, 39600},
    {"Australia/Lord_Howe", 4607173168, 39600},
    {"Australia/Lord_Howe", 1487445004, 39600},
    {"Australia/Lord_Howe", 18780840024, 39600},
    {"Australia/Lord_Howe", 1313290790, 37800},
    {"Europe/Dublin", 16612921085, 3600},
    {"Europe/Dublin", 16904381129, 3600},
    {"Europe/Dublin", 213087194, 3600},
    {"Europe/Dublin", 1352235512, 0},
    {"Europe/Dublin", 10050239624, 3600},
    {"Europe/Dublin", 1200970163, 0},
    {"America/Sao_Paulo", 17855498020, -10800},
    {"America/Sao_Paulo", 1380424954, -10800},
    {"America/Sao_Paulo", 14017793581, -10800},
    {"America/Sao_Paulo", 6602635893, -10800},
    {"Antarctica/Troll", 797211239, 0},
    {"Antarctica/Troll", 11977602783, 7200},
    {"Antarctica/Troll", 2523473279, 0},
    {"Antarctica/Troll", 7535083977, 7200},
    {"Asia/Tehran", 296153772, 12600},
    {"Asia/Tehran", 1675004141, 12600},
    {"Asia/Tehran", 222522521, 12600},
    {"Asia/Tehran", 2548474496, 12600},
    {"Asia/Tehran", 3047644409, 12600},
    {"Asia/Tehran", 2643471566, 12600},
    {"Pacific/Auckland", 590952300, 43200},
    {"Pacific/Auckland", 3931791606, 43200},
    {"Pacific/Auckland", 202755032, 43200},
    {"Pacific/Auckland", 3581900505, 43200},
    {"Pacific/Auckland", 4047196745, 46800},
    {"Pacific/Auckland", 11736391402, 46800},
    {"America/Caracas", 3615088451, -14400},
    {"America/Caracas", 366291294, -14400},
    {"America/Caracas", 16468592033, -14400},
    {"America/Caracas", 1438326872, -16200},
    {"Etc/GMT+5", 1539570389, -18000},
    {"Etc/GMT+5", 7979068549, -18000},
    {"Etc/GMT+5", 849242020, -18000},
    {"Etc/GMT+5", 3735073364, -18000},
    {"Etc/GMT+5", 688150898, -18000},
    {"Africa/Monrovia", 11515193184, 0},
    {"Africa/Monrovia", 2969173409, 0},
    {"Africa/Monrovia", 2418368876, 0},
    {"Africa/Monrovia", 288944252, 0},
    {"Africa/Monrovia", 7213465729, 0},
    {"Asia/Tokyo", 12368728560, 32400},
    {"Asia/Tokyo", 19596651530, 32400},
    {"Asia/Tokyo", 1357522680, 32400},
    {"Asia/Tokyo", 182293109, 32400},
    {"Asia/Tokyo", 1159256789, 32400},
    {"Asia/Tokyo", 4719421043, 32400},
    {"Pacific/Apia", 10713379908, 46800},
    {"Pacific/Apia", 10348861322, 46800},
    {"Pacific/Apia", 90016588, -39600},
    {"Pacific/Apia", 16326160323, 46800},
    {"Pacific/Apia", 18538103597, 46800},
    {"Pacific/Apia", 10521368156, 46800},
    {"Pacific/Apia", 7650286654, 46800},
};
/* clang-format on */

static void test_next(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(cron_rows); i++) {
        FlowCron cron;
        FlowTimezone *zone;
        FlowError error;
        if (flow_cron_parse(cron_rows[i].cron, strlen(cron_rows[i].cron), &cron, &error) != FLOW_OK ||
            flow_timezone_open(cron_rows[i].zone, &zone, &error) != FLOW_OK)
            fail_msg("%s %s: %s", cron_rows[i].cron, cron_rows[i].zone, error.message);
        int64_t next = flow_cron_next(&cron, zone, cron_rows[i].after);
        if (next != cron_rows[i].next)
            fail_msg("%s in %s behind %lld: %lld, not %lld", cron_rows[i].cron, cron_rows[i].zone,
                     (long long)cron_rows[i].after, (long long)cron_rows[i].next, (long long)next);
        flow_timezone_free(zone);
    }
}

static void test_offsets(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(zone_rows); i++) {
        FlowTimezone *zone;
        assert_int_equal(flow_timezone_open(zone_rows[i].zone, &zone, NULL), FLOW_OK);
        FlowTimeSpan span = flow_timezone_span(zone, zone_rows[i].time);
        if (span.offset != zone_rows[i].offset)
            fail_msg("%s at %lld: %d, not %d", zone_rows[i].zone, (long long)zone_rows[i].time,
                     zone_rows[i].offset, span.offset);
        assert_true(span.start <= zone_rows[i].time && zone_rows[i].time < span.end);
        /* Spans follow each other without a hole, and know what came before them. */
        for (int n = 0; n < 3 && span.end != INT64_MAX; n++) {
            FlowTimeSpan next = flow_timezone_span(zone, span.end);
            assert_int_equal(next.start, span.end);
            assert_int_equal(next.offset_before, span.offset);
            FlowTimeSpan same = flow_timezone_span(zone, next.start + 1);
            assert_int_equal(same.start, next.start);
            assert_int_equal(same.end, next.end);
            span = next;
        }
        flow_timezone_free(zone);
    }
}

static const struct {
    const char *cron, *wanted;
} bad_rows[] = {
    {"", "there must be 5 fields"},
    {"* * * *", "there must be 5 fields"},
    {"* * * * * * *", "there must be 5 fields"},
    {"@reboot", "there must be 5 fields"},
    {"60 * * * *", "the minute must be from 0 to 59"},
    {"* 24 * * *", "the hour must be from 0 to 23"},
    {"* * 0 * *", "the day of month must be from 1 to 31"},
    {"* * * 13 *", "the month must be from 1 to 12"},
    {"* * * * 8", "the day of week must be from 0 to 7"},
    {"x * * * *", "the minute must be *, numbers"},
    {"1, * * * *", "the minute must be *, numbers"},
    {"1-x * * * *", "the minute has a range without an end"},
    {"5-1 * * * *", "the minute has a range that ends before it begins"},
    {"*/0 * * * *", "the minute has a step"},
    {"* * * foo *", "the month must be"},
    {"-1 * * * *", "the minute must be"},
    {"99999 * * * *", "the minute must be"},
    {"0 0 30 feb *", "such a date never comes"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(bad_rows); i++) {
        FlowCron cron;
        FlowError error;
        assert_int_equal(flow_cron_parse(bad_rows[i].cron, strlen(bad_rows[i].cron), &cron, &error),
                         FLOW_INVALID_ARGUMENT);
        if (strncmp(error.message, bad_rows[i].wanted, strlen(bad_rows[i].wanted)) != 0)
            fail_msg("%s: %s", bad_rows[i].cron, error.message);
    }
    static const char *const zones[] = {
        "",       "Mars",     "../etc/passwd",  "/etc/passwd", "Europe//Berlin",
        "Europe", "zone.tab", "Europe/Berlin\n"};
    for (size_t i = 0; i < FLOW_COUNT(zones); i++) {
        FlowTimezone *zone;
        assert_int_equal(flow_timezone_open(zones[i], &zone, NULL), FLOW_NOT_FOUND);
    }
}

static void test_macros(void **state)
{
    (void)state;
    static const struct {
        const char *cron;
        int64_t next;
    } rows[] = {{"@hourly", 3600},        {"@daily", 86400},        {" @Weekly ", 3 * 86400},
                {"@monthly", 31 * 86400}, {"@yearly", 365 * 86400}, {"5 0 * * *", 300}};
    FlowTimezone *utc;
    assert_int_equal(flow_timezone_open("UTC", &utc, NULL), FLOW_OK);
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowCron cron;
        assert_int_equal(flow_cron_parse(rows[i].cron, strlen(rows[i].cron), &cron, NULL), FLOW_OK);
        assert_int_equal(flow_cron_next(&cron, utc, 0), rows[i].next);
    }
    flow_timezone_free(utc);
}

/* ---- the timer ---- */

static void test_timer_by_cron(void **state)
{
    (void)state;
    /* The harness's clock begins at 12:00 UTC on 29 February 2024, which is 13:00 in Berlin. */
    Harness *h = harness_new(
        "timer", "{\"cron\": \"30 13,15 * * *\", \"timezone\": \"Europe/Berlin\", \"max_ticks\": 2}");
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    for (int minute = 0; minute < 30; minute++) {
        assert_true(h->is_open);
        harness_advance(h, 60 * FLOW_NS_PER_S);
    }
    assert_false(h->is_open);
    assert_string_equal(h->data, "{\"timer\":{\"tick\":1,\"scheduled_at\":\"2024-02-29T12:30:00.000Z\","
                                 "\"fired_at\":\"2024-02-29T12:30:00.000Z\",\"skipped\":0}}");
    /* Busy over the next one: skipped. */
    harness_advance(h, 3 * 3600 * FLOW_NS_PER_S);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    for (int hour = 0; hour < 24 && h->is_open; hour++)
        harness_advance(h, 1800 * FLOW_NS_PER_S);
    while (h->is_open)
        harness_advance(h, 60 * FLOW_NS_PER_S);
    assert_non_null(strstr(h->data, "\"tick\":2,\"scheduled_at\":\"2024-03-01T12:30:00.000Z\""));
    assert_non_null(strstr(h->data, "\"skipped\":1"));
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_COMPLETED);
    harness_free(h);
}

static void test_timer_by_cron_restart_and_cancel(void **state)
{
    (void)state;
    /* Its last tick was at 06:00, six hours ago. */
    Harness *h = harness_new_with("timer", "{\"cron\": \"@hourly\"}",
                                  harness_json("[7, 0, 1709186400000000000]"), NULL, 0);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_advance(h, 0);
    /* 12:00 is now, not late; 07:00 to 11:00 were missed. */
    assert_non_null(strstr(h->data, "\"tick\":8,\"scheduled_at\":\"2024-02-29T12:00:00.000Z\""));
    assert_non_null(strstr(h->data, "\"skipped\":5"));
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_cancel(h);
    assert_int_equal(h->error.status, FLOW_CANCELLED);
    harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),           cmocka_unit_test(test_macros),
        cmocka_unit_test(test_next),          cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_timer_by_cron), cmocka_unit_test(test_timer_by_cron_restart_and_cancel),
    };
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
        printf("SKIPPED: tzdata is not installed, so there are no time zones to test\n");
        return 0;
    }
    return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
