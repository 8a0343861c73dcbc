/* The peers in C, each in the quickest way that its documentation shows. */
#include <dlfcn.h>
#include <string.h>

#include <jansson.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "bench.h"

/*
 * ---- yajl: parser events straight into the generator, numbers passed on as text (as json_reformat does): no
 * tree ----
 */

static int on_null(void *gen)
{
    return yajl_gen_null(gen) == yajl_gen_status_ok;
}

static int on_boolean(void *gen, int boolean)
{
    return yajl_gen_bool(gen, boolean) == yajl_gen_status_ok;
}

static int on_number(void *gen, const char *text, size_t length)
{
    return yajl_gen_number(gen, text, length) == yajl_gen_status_ok;
}

static int on_string(void *gen, const unsigned char *text, size_t length)
{
    return yajl_gen_string(gen, text, length) == yajl_gen_status_ok;
}

static int on_map(void *gen)
{
    return yajl_gen_map_open(gen) == yajl_gen_status_ok;
}

static int on_map_end(void *gen)
{
    return yajl_gen_map_close(gen) == yajl_gen_status_ok;
}

static int on_array(void *gen)
{
    return yajl_gen_array_open(gen) == yajl_gen_status_ok;
}

static int on_array_end(void *gen)
{
    return yajl_gen_array_close(gen) == yajl_gen_status_ok;
}

static const yajl_callbacks callbacks = {on_null, on_boolean, NULL,       NULL,     on_number,   on_string,
                                         on_map,  on_string,  on_map_end, on_array, on_array_end};

size_t bench_yajl(const char *text, size_t length)
{
    yajl_gen gen = yajl_gen_alloc(NULL);
    yajl_handle parser = yajl_alloc(&callbacks, NULL, gen);
    const unsigned char *written;
    size_t size = 0;
    if (yajl_parse(parser, (const unsigned char *)text, length) == yajl_status_ok &&
        yajl_complete_parse(parser) == yajl_status_ok)
        yajl_gen_get_buf(gen, &written, &size);
    yajl_free(parser);
    yajl_gen_free(gen);
    return size;
}

size_t bench_jansson(const char *text, size_t length)
{
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_DECODE_ANY, &error);
    if (value == NULL)
        return 0;
    char *written = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t size = written != NULL ? strlen(written) : 0;
    free(written);
    json_decref(value);
    return size;
}

/*
 * json-c has functions of the same names as jansson, so it is loaded by the side, and its types are not
 * declared.
 */
size_t bench_json_c(const char *text, size_t length)
{
    static void *(*tokener_new)(void);
    static void *(*parse)(void *tokener, const char *text, int length);
    static const char *(*to_string)(void *value, int flags, size_t *ret_length);
    static int (*put)(void *value);
    static void (*tokener_free)(void *tokener);
    enum { PLAIN = 0 };
    if (tokener_new == NULL) {
        void *library = dlopen("libjson-c.so.5", RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            return 0;
        *(void **)&parse = dlsym(library, "json_tokener_parse_ex");
        *(void **)&to_string = dlsym(library, "json_object_to_json_string_length");
        *(void **)&put = dlsym(library, "json_object_put");
        *(void **)&tokener_free = dlsym(library, "json_tokener_free");
        *(void **)&tokener_new = dlsym(library, "json_tokener_new");
    }
    void *tokener = tokener_new(), *value = parse(tokener, text, (int)length);
    size_t size = 0;
    if (value != NULL)
        to_string(value, PLAIN, &size);
    put(value);
    tokener_free(tokener);
    return size;
}
