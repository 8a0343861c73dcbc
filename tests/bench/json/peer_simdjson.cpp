// simdjson: the DOM, with a parser that is used again, so that its memory stays.
#include <simdjson.h>

#include "bench.h"

static thread_local simdjson::dom::parser parser;

extern "C" size_t bench_simdjson(const char *text, size_t length)
{
    simdjson::dom::element value;
    if (parser.parse(text, length).get(value))
        return 0;
    return simdjson::minify(value).size();
}

extern "C" size_t bench_simdjson_read(const char *text, size_t length)
{
    simdjson::dom::element value;
    if (parser.parse(text, length).get(value))
        return 0;
    return (size_t)value.type();
}
