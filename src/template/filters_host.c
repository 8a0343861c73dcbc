/*
 * filters_host.c - default and attr of Jinja, and what hosts of Jinja add and authors expect: b64encode,
 * b64decode, bool, hash, combine, ternary, flatten, dict2items, items2dict.
 */
#include <openssl/evp.h>
#include <strings.h>

#include "base/utf8.h"
#include "template/natives.h"

static bool filter_default(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool falsy_too, truth = true;
    if (!arg_truth(vm, args[2], false, &falsy_too))
        return false;
    if (args[0].type != V_UNDEFINED && falsy_too)
        truth = flow_val__is_true(args[0]);
    if (args[0].type == V_UNDEFINED || !truth)
        *ret = val_given(args[1]) ? args[1] : val_string("", 0);
    else
        *ret = args[0];
    return true;
}

/* Like foo.bar, without looking for a key of that name. */
static bool filter_attr(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (args[0].type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, args[0]);
    if (!arg_string(vm, args[1], "filter 'attr'"))
        return false;
    if (!val_is_mapping(args[0]))
        return flow_val__item(vm, args[0], args[1], ret);
    if (flow_method__find(args[0], args[1].s, args[1].len) == NULL)
        return flow_vm__undefined_attr(vm, args[0], args[1].s, args[1].len, ret);
    /* An empty dict has the methods and no keys. */
    FlowDict *none = flow_dict__new(vm, 0);
    return none != NULL && flow_val__item(vm, val_dict(none), args[1], ret);
}

static bool filter_ternary(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool truth;
    if (args[0].type == V_NONE && val_given(args[3])) {
        *ret = args[3];
        return true;
    }
    if (!flow_val__truth(vm, args[0], &truth))
        return false;
    *ret = truth ? args[1] : args[2];
    return true;
}

static bool filter_bool(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "y", "t", "1"};
    static const char *const no[] = {"false", "no", "off", "n", "f", "0", ""};
    FlowVal v = args[0], text;
    bool truth;
    if (v.type != V_STRING) {
        if (!flow_val__truth(vm, v, &truth))
            return false;
        *ret = val_bool(truth);
        return true;
    }
    if (!flow_text__strip(vm, v, val_missing(), STRIP_BOTH, &text))
        return false;
    for (size_t i = 0; i < FLOW_COUNT(yes); i++) {
        if (strlen(yes[i]) == text.len && strncasecmp(yes[i], text.s, text.len) == 0) {
            *ret = val_bool(true);
            return true;
        }
    }
    for (size_t i = 0; i < FLOW_COUNT(no); i++) {
        if (strlen(no[i]) == text.len && strncasecmp(no[i], text.s, text.len) == 0) {
            *ret = val_bool(false);
            return true;
        }
    }
    if (val_given(args[1])) {
        *ret = args[1];
        return true;
    }
    return flow_vm__fail(vm, "filter 'bool' knows true, yes, on, 1 and false, no, off, 0 but not this text; "
                             "give a default: | bool(false)");
}

/* ---- base 64 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool filter_b64encode(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    if (!flow_val__to_string(vm, args[0], &text) || !flow_vm__charge(vm, 1 + text.len / 16))
        return false;
    size_t len = ((size_t)text.len + 2) / 3 * 4;
    char *made = flow_vm__alloc_text(vm, len);
    if (made == NULL)
        return false;
    char *to = made;
    for (uint32_t i = 0; i < text.len; i += 3) {
        uint32_t left = text.len - i;
        uint32_t three = (uint32_t)(uint8_t)text.s[i] << 16 |
                         (left > 1 ? (uint32_t)(uint8_t)text.s[i + 1] << 8 : 0) |
                         (left > 2 ? (uint8_t)text.s[i + 2] : 0);
        *to++ = alphabet[three >> 18];
        *to++ = alphabet[three >> 12 & 63];
        *to++ = left > 1 ? alphabet[three >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[three & 63] : '=';
    }
    *ret = val_string(made, len);
    return true;
}

static int digit64(char c)
{
    if (c == '-')
        c = '+';
    if (c == '_')
        c = '/';
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

static bool filter_b64decode(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    if (!flow_val__to_string(vm, args[0], &text) || !flow_vm__charge(vm, 1 + text.len / 8))
        return false;
    char *made = flow_vm__alloc_text(vm, text.len);
    if (made == NULL)
        return false;
    size_t len = 0, digits = 0;
    uint32_t bits = 0;
    bool ended = false;
    for (uint32_t i = 0; i < text.len; i++) {
        char c = text.s[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        if (c == '=') {
            ended = true;
            continue;
        }
        int digit = digit64(c);
        if (digit < 0 || ended)
            return flow_vm__fail(vm, "filter 'b64decode': no base 64 at byte %u", i);
        bits = bits << 6 | (uint32_t)digit;
        if (++digits % 4 != 1)
            made[len++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)) & 0xff);
    }
    if (digits % 4 == 1)
        return flow_vm__fail(vm, "filter 'b64decode': the text is cut off");
    if (!flow_utf8_valid(made, len))
        return flow_vm__fail(vm, "filter 'b64decode': what it decodes to is no text in UTF-8");
    *ret = val_string(made, len);
    return true;
}

/* ---- hash ---- */

static bool filter_hash(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    static const char *const names[] = {"sha256", "sha1", "sha224",   "sha384",
                                        "sha512", "md5",  "sha3-256", "blake2b512"};
    static const char hex[] = "0123456789abcdef";
    FlowVal text, name = val_given(args[1]) ? args[1] : VAL_LITERAL("sha256");
    const char *known = NULL;
    if (!flow_val__to_string(vm, args[0], &text) || !arg_string(vm, name, "filter 'hash'") ||
        !flow_vm__charge(vm, 16 + text.len / 16))
        return false;
    for (size_t i = 0; i < FLOW_COUNT(names); i++) {
        if (strlen(names[i]) == name.len && strncasecmp(names[i], name.s, name.len) == 0)
            known = names[i];
    }
    if (known == NULL) {
        flow_vm__fail(vm, "filter 'hash': unknown algorithm '%.*s'", (int)(name.len < 40 ? name.len : 40),
                      name.s);
        flow_vm__hint(vm, name.s, name.len, names, FLOW_COUNT(names));
        return false;
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (EVP_Q_digest(NULL, known, NULL, text.s, text.len, digest, &size) != 1)
        return flow_vm__fail(vm, "filter 'hash': this machine does not offer %s", known);
    char *made = flow_vm__alloc_text(vm, size * 2);
    if (made == NULL)
        return false;
    for (size_t i = 0; i < size; i++) {
        made[2 * i] = hex[digest[i] >> 4];
        made[2 * i + 1] = hex[digest[i] & 15];
    }
    *ret = val_string(made, size * 2);
    return true;
}

/* ---- dicts and lists ---- */

static bool combine(FlowVm *vm, FlowVal a, FlowVal b, bool recursive, unsigned depth, FlowVal *ret)
{
    FlowVal key, value, old;
    size_t at = 0;
    if (depth > vm->limits.data_depth)
        return flow_vm__limit(vm, "a value nested more than %u deep", vm->limits.data_depth);
    FlowDict *dict = flow_dict__new(vm, flow_mapping__count(a) + flow_mapping__count(b));
    if (dict == NULL || !flow_dict__merge(vm, dict, a))
        return false;
    while (flow_mapping__next(b, &at, &key, &value)) {
        bool found = false;
        if (recursive && val_is_mapping(value) && !flow_val__lookup(vm, a, key, &old, &found))
            return false;
        if (found && val_is_mapping(old) && !combine(vm, old, value, true, depth + 1, &value))
            return false;
        if (!flow_vm__charge(vm, 1) || !flow_dict__set(vm, dict, key, value))
            return false;
    }
    *ret = val_dict(dict);
    return true;
}

static bool filter_combine(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    bool recursive = false;
    FlowVal all = args->values[0];
    for (size_t i = 0; i < args->named_count; i++) {
        if (args->names[i].len != 9 || memcmp(args->names[i].s, "recursive", 9) != 0)
            return flow_vm__fail(vm, "filter 'combine' has no parameter '%.*s'",
                                 (int)(args->names[i].len < 60 ? args->names[i].len : 60), args->names[i].s);
        if (!flow_val__truth(vm, args->named[i], &recursive))
            return false;
    }
    for (size_t i = 0; i < args->count; i++) {
        if (args->values[i].type == V_UNDEFINED)
            return flow_vm__fail_undefined(vm, args->values[i]);
        if (!val_is_mapping(args->values[i]))
            return flow_vm__fail(vm, "filter 'combine' wants dicts, not %s",
                                 flow_val__type_name(args->values[i]));
        if (i != 0 && !combine(vm, all, args->values[i], recursive, 0, &all))
            return false;
    }
    *ret = all;
    return true;
}

static bool flatten(FlowVm *vm, FlowVal list, int64_t levels, unsigned depth, FlowList *to)
{
    size_t count = (size_t)flow_val__length_or_none(list);
    if (depth > vm->limits.data_depth)
        return flow_vm__limit(vm, "a value nested more than %u deep", vm->limits.data_depth);
    for (size_t i = 0; i < count; i++) {
        FlowVal item = flow_list__at(list, i);
        if (!flow_vm__charge(vm, 1))
            return false;
        if (val_is_list(item) && levels != 0 ? !flatten(vm, item, levels - 1, depth + 1, to)
                                             : !flow_list__push(vm, to, item))
            return false;
    }
    return true;
}

static bool filter_flatten(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t levels;
    FlowList *all, *list = flow_list__new(vm, 0);
    if (list == NULL || !arg_int(vm, arg_absent(args[1]) ? val_missing() : args[1], "levels", -1, &levels) ||
        !flow_list__from(vm, args[0], &all) || !flatten(vm, val_list(all), levels, 0, list))
        return false;
    *ret = val_list(list);
    return true;
}

static bool filter_dict2items(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal key, value;
    FlowVal key_name = val_given(args[1]) ? args[1] : VAL_LITERAL("key");
    FlowVal value_name = val_given(args[2]) ? args[2] : VAL_LITERAL("value");
    size_t at = 0;
    if (args[0].type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, args[0]);
    if (!val_is_mapping(args[0]))
        return flow_vm__fail(vm, "filter 'dict2items' wants a dict, not %s", flow_val__type_name(args[0]));
    FlowList *list = flow_list__new(vm, flow_mapping__count(args[0]));
    if (list == NULL)
        return false;
    while (flow_mapping__next(args[0], &at, &key, &value)) {
        FlowDict *pair = flow_dict__new(vm, 2);
        if (pair == NULL || !flow_vm__charge(vm, 1) || !flow_dict__set(vm, pair, key_name, key) ||
            !flow_dict__set(vm, pair, value_name, value) || !flow_list__push(vm, list, val_dict(pair)))
            return false;
    }
    *ret = val_list(list);
    return true;
}

static bool filter_items2dict(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowIter iter;
    FlowVal item, key, value;
    FlowVal key_name = val_given(args[1]) ? args[1] : VAL_LITERAL("key");
    FlowVal value_name = val_given(args[2]) ? args[2] : VAL_LITERAL("value");
    FlowDict *dict = flow_dict__new(vm, 0);
    if (dict == NULL || !flow_iter__begin(vm, &iter, args[0]))
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        if (!flow_val__item(vm, item, key_name, &key) || !flow_val__item(vm, item, value_name, &value))
            return false;
        if (key.type == V_UNDEFINED || value.type == V_UNDEFINED)
            return flow_vm__fail_undefined(vm, key.type == V_UNDEFINED ? key : value);
        if (!flow_dict__set(vm, dict, key, value))
            return false;
    }
    *ret = val_dict(dict);
    return !vm->failed;
}

static const FlowNative rows[] = {
    {"default", filter_default, {"value", "default_value", "boolean"}, 1, NULL},
    {"d", filter_default, {"value", "default_value", "boolean"}, 1, NULL},
    {"attr", filter_attr, {"obj", "name"}, 2, NULL},
    {"ternary", filter_ternary, {"value", "true_val", "false_val", "none_val"}, 3, NULL},
    {"bool", filter_bool, {"value", "default"}, 1, NULL},
    {"b64encode", filter_b64encode, {"value"}, 1, NULL},
    {"b64decode", filter_b64decode, {"value"}, 1, NULL},
    {"hash", filter_hash, {"value", "algorithm"}, 1, NULL},
    {"combine", NULL, {"value"}, 1, filter_combine},
    {"flatten", filter_flatten, {"value", "levels"}, 1, NULL},
    {"dict2items", filter_dict2items, {"value", "key_name", "value_name"}, 1, NULL},
    {"items2dict", filter_items2dict, {"value", "key_name", "value_name"}, 1, NULL},
};
NATIVE_TABLE(flow_filters_host, rows);
