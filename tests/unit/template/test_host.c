/* What Jinja doesn't have, and what is decided differently here: no oracle but this table. */
#include "template_test.h"

#define CONTEXT                                                                                              \
    "{\"data\":{\"n\":42,\"items\":[1,2],\"get\":\"mine\",\"t\":\"a1b22\",\"m\":{\"a\":1},\"rows\":[{\"k\":" \
    "\"x\",\"v\":1}]}}"

static const TextRow rows[] = {
    /* from_json, to_json */
    {"{{ ('{\"a\": [1, 2.0, null]}' | from_json).a }}", NULL, "[1, 2.0, None]"},
    {"{{ data.m | to_json }} {{ {'b': 'é<', 'a': true} | to_json }}", CONTEXT,
     "{\"a\": 1} {\"b\": \"é<\", \"a\": true}"},
    {"{{ {'b': 1, 'a': 2} | to_json(sort_keys=true) }}", NULL, "{\"a\": 2, \"b\": 1}"},
    {"{{ [1, {}] | to_json(indent=1) }}", NULL, "[\n 1,\n {}\n]"},
    {"{{ '2026-01-02' | to_datetime | to_json }}", NULL, "\"2026-01-02T00:00:00\""},
    /* regular expressions */
    {"{{ data.t | regex_match('a') }} {{ data.t | regex_match('b') }} {{ 'ABC' | regex_match('abc', "
     "ignorecase=true) }}",
     CONTEXT, "True False True"},
    {"{{ data.t | regex_search('[0-9]+') }} {{ data.t | regex_search('x') }}", CONTEXT, "1 None"},
    {"{{ 'k=v' | regex_search('(?P<key>\\\\w)=(\\\\w)', group='key') }}{{ 'k=v' | "
     "regex_search('(\\\\w)=(\\\\w)', group=2) }}",
     NULL, "kv"},
    {"{{ data.t | regex_replace('[0-9]+', '<\\\\g<0>>') }} {{ 'ab' | regex_replace('(a)(b)', '\\\\2\\\\1') "
     "}}",
     CONTEXT, "a<1>b<22> ba"},
    {"{{ 'aaa' | regex_replace('a', 'b', count=2) }} {{ 'abc' | regex_replace('', '-') }}", NULL,
     "bba -a-b-c-"},
    {"{{ data.t | regex_findall('[0-9]+') }} {{ 'a=1,b=2' | regex_findall('(\\\\w)=(\\\\d)') }}", CONTEXT,
     "['1', '22'] [('a', '1'), ('b', '2')]"},
    {"{{ 'é1' | regex_findall('\\\\w') }} {{ 'a\\nb' | regex_findall('^.', multiline=true) }}", NULL,
     "['é', '1'] ['a', 'b']"},
    /* time: the clock stands at 2026-11-23T20:36:31.042 */
    {"{{ now() }}|{{ now().isoformat() }}|{{ now(1).isoformat() }}", NULL,
     "2026-11-23 20:36:31.042000+00:00|2026-11-23T20:36:31.042000+00:00|2026-11-23T21:36:31.042000+01:00"},
    {"{{ now().year }}-{{ now().month }}-{{ now().day }} {{ now().weekday() }} {{ now().isoweekday() }} {{ "
     "now().timestamp() }}",
     NULL, "2026-11-23 0 1 1795466191.042"},
    {"{{ now().strftime('%Y-%m-%dT%H:%M:%SZ %A %b %j %U %W %V %G %p %I %y %f %z %Z %%') }}", NULL,
     "2026-11-23T20:36:31Z Monday Nov 327 47 47 48 2026 PM 08 26 042000 +0000 UTC %"},
    {"{{ '2024-02-29T10:00:00+02:00' | to_datetime | strftime('%d.%m.%Y %H:%M %z') }}", NULL,
     "29.02.2024 10:00 +0200"},
    {"{{ '2026-11-23' | strftime('%-d/%-m/%Y') }} {{ 0 | strftime('%F %T') }} {{ 1795466191 | to_datetime }}",
     NULL, "23/11/2026 1970-01-01 00:00:00 2026-11-23 20:36:31+00:00"},
    {"{{ '23.11.2026 8:05 PM' | to_datetime('%d.%m.%Y %I:%M %p') }} {{ 'Nov 3, 24' | to_datetime('%b %d, "
     "%y') }}",
     NULL, "2026-11-23 20:05:00 2024-11-03 00:00:00"},
    {"{{ (now() + 86400).isoformat() }} {{ (now() - 0.042).second }} {{ now() - ('2026-11-23T20:36:30Z' | "
     "to_datetime) }}",
     NULL, "2026-11-24T20:36:31.042000+00:00 31 1.042"},
    {"{{ now() > '2020-01-01' | to_datetime }} {{ '2026-01-01T00:00:00Z' | to_datetime == "
     "'2026-01-01T01:00:00+01:00' | to_datetime }}",
     NULL, "True True"},
    {"{{ '{:%H:%M}'.format(now()) }} {{ now() is string }}", NULL, "20:36 False"},
    /* encodings */
    {"{{ 'Zoë' | b64encode }} {{ 'Wm/Dqw==' | b64decode }} {{ 'Wm_Dqw' | b64decode }} {{ '' | b64encode }}|",
     NULL, "Wm/Dqw== Zoë Zoë |"},
    {"{{ 'abc' | hash }}", NULL, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"{{ 'abc' | hash('md5') }} {{ 'abc' | hash('SHA1') }}", NULL,
     "900150983cd24fb0d6963f7d28e17f72 a9993e364706816aba3e25717850c26c9cd0d89d"},
    /* bool, ternary */
    {"{{ 'yes' | bool }} {{ 'Off' | bool }} {{ 0 | bool }} {{ none | bool }} {{ ' TRUE ' | bool }} {{ "
     "'maybe' | bool(false) }}",
     NULL, "True False False False True False"},
    {"{{ true | ternary('a', 'b') }} {{ 0 | ternary('a', 'b') }} {{ none | ternary('a', 'b', 'c') }}", NULL,
     "a b c"},
    /* dicts and lists */
    {"{{ {'a': 1, 'x': {'p': 1}} | combine({'b': 2}, {'x': {'q': 2}}) }}", NULL,
     "{'a': 1, 'x': {'q': 2}, 'b': 2}"},
    {"{{ {'x': {'p': 1}} | combine({'x': {'q': 2}}, recursive=true) }}", NULL, "{'x': {'p': 1, 'q': 2}}"},
    {"{{ [1, [2, [3, [4]]]] | flatten }} {{ [1, [2, [3]]] | flatten(1) }}", NULL, "[1, 2, 3, 4] [1, 2, [3]]"},
    {"{{ {'a': 1} | dict2items }} {{ [{'key': 'a', 'value': 1}] | items2dict }} {{ data.rows | "
     "items2dict('k', 'v') }}",
     CONTEXT, "[{'key': 'a', 'value': 1}] {'a': 1} {'x': 1}"},
    /* a key before a method, a method when it is called */
    {"{{ data.items }} {{ data.get }} {{ data.items() | length }} {{ data.get('n') }} {{ data.m.items }}",
     CONTEXT, "[1, 2] mine 6 42 <method items of dict>"},
    /* lists and dicts of the template itself may be changed */
    {"{% set l = [] %}{% for x in data.items %}{% set _ = l.append(x * 2) %}{% endfor %}{{ l }}", CONTEXT,
     "[2, 4]"},
    {"{% set l = data.items | list %}{% set _ = l.insert(0, 'a') %}{{ l }}{{ l.pop() }}{{ l }}{{ data.items "
     "}}",
     CONTEXT, "['a', 1, 2]2['a', 1][1, 2]"},
    {"{% set d = dict(data.m) %}{% set _ = d.update(b=2) %}{{ d }}{{ d.pop('a') }}{{ d.setdefault('c', 3) "
     "}}{{ d }}{{ data.m }}",
     CONTEXT, "{'a': 1, 'b': 2}13{'b': 2, 'c': 3}{'a': 1}"},
    {"{% set l = [3, 1, 2] %}{{ l.sort() }}{{ l }}{{ l.reverse() }}{{ l }}{{ l.remove(1) }}{{ l.extend([9]) "
     "}}{{ l.index(9) }}{{ l.count(2) }}{{ l.clear() }}{{ l }}",
     NULL, "None[1, 2, 3]None[3, 2, 1]NoneNone21None[]"},
    /* nothing of a host language shows through */
    {"{{ 5.real }}|{{ 'x'.__class__ }}|{{ data.__init__ }}|{{ ''.join }}|{{ range }}|{{ [1] | map('abs') "
     "}}|{{ data.m.keys() }}",
     CONTEXT, "|||<method join of string>|<function range>|<generator>|dict_keys(['a'])"},
};

static void behave_as_documented(void **state)
{
    FlowClock *clock = flow_test_clock_new(INT64_C(1795466191042000000));
    (void)state;
    test_rows(rows, FLOW_COUNT(rows), clock);
    flow_test_clock_free(clock);
}

static void refuse_with_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *source, *says;
    } bad[] = {
        {"{{ '{\"a\": }' | from_json }}", "from_json"},
        {"{{ 'x' | regex_search('(') }}",
         "not a regular expression: missing closing parenthesis at character 2"},
        {"{{ 'x' | regex_search('x', group=3) }}", "no such group"},
        {"{{ 'never' | to_datetime }}", "no date in ISO 8601"},
        {"{{ '2023-02-29' | to_datetime }}", "no date in ISO 8601"},
        {"{{ '1' | to_datetime('%Y') }}", "no date of that format"},
        {"{{ now().strftime('%Q') }}", "unknown field %Q"},
        {"{{ now() + 1e15 }}", "year 1 to year 9999"},
        {"{{ now(25) }}", "less than 24 hours"},
        {"{{ '*' | b64decode }}", "no base 64 at byte 0"},
        {"{{ '/w==' | b64decode }}", "no text in UTF-8"},
        {"{{ 'x' | hash('sha265') }}", "unknown algorithm 'sha265'"},
        {"{{ 'maybe' | bool }}", "give a default"},
        {"{{ {} | combine([1]) }}", "wants dicts, not list"},
        {"{{ 'a'.encode() }}", "this string has no 'encode'"},
    };
    for (size_t i = 0; i < FLOW_COUNT(bad); i++) {
        Rendered r = test_render(bad[i].source, NULL, NULL, NULL);
        if (r.status == FLOW_OK || strstr(r.detail.message, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].source, r.status == FLOW_OK ? r.text : r.detail.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(behave_as_documented),
                                       cmocka_unit_test(refuse_with_reasons)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
