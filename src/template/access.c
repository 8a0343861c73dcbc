/*
 * access.c - a.b, a['b'], a[0], a[1:2], and the paths that filters take.
 *
 * A key of a dict comes before a method of the same name: payloads have keys called "items" and "values".
 * With a call behind it the method is meant, see I_CALL_METHOD. Nothing but what this file names can be
 * reached: there are no attributes whose names a host language would lend to values.
 */
#include <string.h>

#include "template/unicode.h"
#include "template/values.h"

/* ---- dicts ---- */

bool flow_val__lookup(FlowVm *vm, FlowVal mapping, FlowVal key, FlowVal *ret, bool *ret_found)
{
    *ret_found = false;
    if (mapping.type == V_OBJECT) {
        const FlowValue *value = NULL;
        if (key.type == V_STRING) {
            value = flow_object_getn(*mapping.json, key.s, key.len);
        } else {
            uint64_t ignored; /* a list as key is an error here as everywhere */
            if (!flow_val__hash(vm, key, &ignored))
                return false;
        }
        if (value != NULL) {
            *ret = flow_val__from_json(value);
            *ret_found = true;
        }
        return true;
    }
    uint64_t hash;
    if (!flow_val__hash(vm, key, &hash))
        return false;
    FlowDictEntry *entry = flow_dict__find(vm, mapping.dict, key, hash);
    if (entry != NULL) {
        *ret = entry->value;
        *ret_found = true;
    }
    return !vm->failed;
}

static bool json_key(FlowVal object, const FlowKey *key, FlowVal *ret)
{
    size_t count;
    const FlowMember *members = flow_object_members(*object.json, &count);
    if (count < FLOW_OBJECT_INDEX_FROM && key->val.len <= FLOW_VALUE_SHORT_STRING) {
        for (size_t i = 0; i < count; i++) {
            if (members[i].key.word[0] == key->json.word[0] && members[i].key.word[1] == key->json.word[1]) {
                *ret = flow_val__from_json(&members[i].value);
                return true;
            }
        }
        return false;
    }
    const FlowValue *value = flow_object_getn(*object.json, key->val.s, key->val.len);
    if (value == NULL)
        return false;
    *ret = flow_val__from_json(value);
    return true;
}

/* ---- fields that are no keys ---- */

static bool method_value(FlowVm *vm, FlowVal self, const FlowNative *native, FlowVal *ret)
{
    FlowMethod *method = flow_vm__alloc(vm, sizeof *method);
    if (method == NULL)
        return false;
    *method = (FlowMethod){native, self};
    *ret = (FlowVal){.type = V_METHOD, .method = method};
    return true;
}

/* The named field of values that have some; false in *ret_found for all others. */
static bool field(FlowVm *vm, FlowVal v, FlowVal name, FlowVal *ret, bool *ret_found)
{
    *ret_found = true;
    switch (v.type) {
    case V_LOOP: {
        int which = flow_loop__field(name.s, name.len);
        if (which >= 0)
            return flow_loop__get(vm, v.loop, (FlowLoopField)which, ret);
        break;
    }
    case V_NAMESPACE: {
        FlowDictEntry *entry =
            flow_dict__find_text(v.dict, name.s, name.len, flow_val__hash_text(name.s, name.len));
        *ret_found = entry != NULL;
        if (entry != NULL)
            *ret = entry->value;
        return true;
    }
    case V_TUPLE:
        if ((v.flags & VAL_GROUP) && name.len == 7 && memcmp(name.s, "grouper", 7) == 0) {
            *ret = v.list->items[0];
            return true;
        }
        if ((v.flags & VAL_GROUP) && name.len == 4 && memcmp(name.s, "list", 4) == 0) {
            *ret = v.list->items[1];
            return true;
        }
        break;
    case V_CYCLER:
        if (name.len == 7 && memcmp(name.s, "current", 7) == 0) {
            *ret = v.cycler->items.items[v.cycler->at];
            return true;
        }
        break;
    case V_DATETIME:
        if (flow_datetime__field(v.datetime, name.s, name.len, ret))
            return true;
        break;
    case V_MACRO:
        if (flow_macro__field(vm, v.macro, name.s, name.len, ret, ret_found) || vm->failed)
            return !vm->failed;
        break;
    case V_SELF:
        *ret_found = flow_self__block(vm, name.s, name.len, ret);
        return true;
    default:
        break;
    }
    const FlowNative *native = flow_method__find(v, name.s, name.len);
    *ret_found = native != NULL;
    return native == NULL || method_value(vm, v, native, ret);
}

static bool undefined_value(FlowVm *vm, FlowVal owner, FlowVal name, FlowVal *ret)
{
    if (name.type == V_STRING)
        return flow_vm__undefined_attr(vm, owner, name.s, name.len, ret);
    FlowUndefined *undefined = flow_vm__alloc(vm, sizeof *undefined);
    FlowVal text;
    if (undefined == NULL)
        return false;
    FlowBuild build = flow_vm__build(vm);
    flow_buf_str(build.buf, flow_val__type_name(owner));
    flow_buf_str(build.buf, " has no element ");
    if (!flow_val__print_repr(vm, build.buf, name) || build.buf->len - build.start > 200) {
        build.buf->len = build.start;
        flow_buf_str(build.buf, "there is no such element");
        if (vm->failed)
            return flow_vm__build_drop(vm, build);
    }
    flow_buf_byte(build.buf, '\0');
    if (!flow_vm__built(vm, build, &text))
        return false;
    *undefined = (FlowUndefined){.hint = text.s};
    *ret = (FlowVal){.type = V_UNDEFINED, .undefined = undefined};
    return true;
}

/* ---- lists and strings by index ---- */

/* The item at an index that may count from the end; false when it is out of range. */
static bool at_index(FlowVm *vm, FlowVal v, int64_t index, FlowVal *ret)
{
    size_t count;
    switch (v.type) {
    case V_STRING:
        count = flow_val__length_of_string(v);
        break;
    case V_RANGE:
        count = v.range->count;
        break;
    default:
        count = (size_t)flow_val__length_or_none(v);
        break;
    }
    if (index < 0)
        index += (int64_t)count;
    if (index < 0 || (uint64_t)index >= count)
        return false;
    if (v.type == V_STRING) {
        *ret = flow_val__substring(v, (size_t)index, (size_t)index + 1);
        flow_vm__charge(vm, v.len / 256);
    } else if (v.type == V_RANGE) {
        *ret = val_int(v.range->start + index * v.range->step);
    } else {
        *ret = flow_list__at(v, (size_t)index);
    }
    return true;
}

static bool has_indexes(FlowVal v)
{
    return v.type == V_STRING || v.type == V_RANGE || val_is_list(v);
}

/* ---- the three ways in ---- */

bool flow_val__key(FlowVm *vm, FlowVal v, const FlowKey *key, FlowVal *ret)
{
    if (key->val.type == V_INT)
        return flow_val__item(vm, v, key->val, ret);
    if (v.type == V_OBJECT) {
        if (json_key(v, key, ret))
            return true;
    } else if (v.type == V_DICT) {
        FlowDictEntry *entry = flow_dict__find_text(v.dict, key->val.s, key->val.len, key->hash);
        if (entry != NULL) {
            *ret = entry->value;
            return true;
        }
    } else if (v.type == V_UNDEFINED) {
        return flow_vm__fail_undefined(vm, v);
    }
    bool found;
    if (!field(vm, v, key->val, ret, &found))
        return false;
    return found || undefined_value(vm, v, key->val, ret);
}

bool flow_val__item(FlowVm *vm, FlowVal v, FlowVal index, FlowVal *ret)
{
    bool found = false;
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (flow_vm__refuses(vm, index))
        return flow_vm__fail_undefined(vm, index);
    if ((index.type == V_INT || index.type == V_BOOL) && has_indexes(v))
        return at_index(vm, v, index.i, ret) ? !vm->failed : undefined_value(vm, v, index, ret);
    if (val_is_mapping(v)) {
        /* What can't be a key is not there, rather than an error: so has Jinja it. */
        if (!val_is_mapping(index) && index.type != V_LIST && index.type != V_ARRAY &&
            !flow_val__lookup(vm, v, index, ret, &found))
            return false;
        if (found)
            return true;
    }
    if (index.type == V_STRING && !field(vm, v, index, ret, &found))
        return false;
    return found || undefined_value(vm, v, index, ret);
}

bool flow_val__attribute(FlowVm *vm, FlowVal v, FlowVal path, FlowVal *ret)
{
    if (path.type != V_STRING) {
        *ret = v;
        return path.type == V_NONE || path.type == V_MISSING || flow_val__item(vm, v, path, ret);
    }
    size_t begin = 0;
    for (;;) {
        const char *dot = memchr(path.s + begin, '.', path.len - begin);
        size_t end = dot != NULL ? (size_t)(dot - path.s) : path.len;
        bool digits = end > begin && end - begin < 18;
        int64_t number = 0;
        for (size_t i = begin; i < end && digits; i++) {
            digits = path.s[i] >= '0' && path.s[i] <= '9';
            number = number * 10 + (path.s[i] - '0');
        }
        FlowVal part = digits ? val_int(number) : val_string(path.s + begin, end - begin);
        if (!flow_val__item(vm, v, part, &v))
            return false;
        if (dot == NULL)
            break;
        begin = end + 1;
    }
    *ret = v;
    return true;
}

/* ---- slices ---- */

static bool slice_bound(FlowVm *vm, FlowVal v, int64_t otherwise, int64_t count, bool down, int64_t *ret)
{
    if (v.type == V_NONE) {
        *ret = otherwise;
        return true;
    }
    int64_t i;
    if (v.type == V_BIG)
        i = flow_big__sign(v) < 0 ? INT64_MIN / 2 : INT64_MAX / 2;
    else if (!flow_arith__to_int(vm, v, "a slice", &i))
        return false;
    if (i < 0) {
        i = i < -count ? (down ? -1 : 0) : i + count;
    } else if (i >= count) {
        i = down ? count - 1 : count;
    }
    *ret = i;
    return true;
}

bool flow_slice__resolve(FlowVm *vm, FlowVal from, FlowVal to, FlowVal step, size_t count, int64_t *ret_from,
                         int64_t *ret_step, size_t *ret_count)
{
    int64_t n = (int64_t)count, by = 1, end;
    if (step.type == V_BIG)
        by = flow_big__sign(step) < 0 ? -INT64_MAX / 2 : INT64_MAX / 2;
    else if (step.type != V_NONE && !flow_arith__to_int(vm, step, "a slice", &by))
        return false;
    if (by == 0)
        return flow_vm__fail(vm, "the step of a slice can't be zero");
    if (by < -INT64_MAX / 2)
        by = -INT64_MAX / 2;
    bool down = by < 0;
    if (!slice_bound(vm, from, down ? n - 1 : 0, n, down, ret_from) ||
        !slice_bound(vm, to, down ? -1 : n, n, down, &end))
        return false;
    int64_t distance = down ? *ret_from - end : end - *ret_from;
    int64_t size = down ? -by : by;
    *ret_count = distance > 0 ? (size_t)((distance - 1) / size + 1) : 0;
    *ret_step = by;
    return true;
}

static bool slice_string(FlowVm *vm, FlowVal v, int64_t from, int64_t step, size_t count, FlowVal *ret)
{
    if (step == 1 || count == 0) {
        *ret = flow_val__substring(v, (size_t)from, (size_t)from + count);
        return true;
    }
    FlowBuild build = flow_vm__build(vm);
    for (size_t i = 0; i < count; i++) {
        FlowVal one = flow_val__substring(v, (size_t)from, (size_t)from + 1);
        flow_buf_append(build.buf, one.s, one.len);
        from += step;
        /* Without ASCII each character is looked for from the start. */
        if (!flow_vm__charge(vm, 1 + (one.flags & VAL_ASCII ? 0 : v.len / 64)))
            return flow_vm__build_drop(vm, build);
    }
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= v.flags & VAL_MARKUP;
    return true;
}

bool flow_val__slice(FlowVm *vm, FlowVal v, FlowVal from, FlowVal to, FlowVal step, FlowVal *ret)
{
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (!has_indexes(v))
        return flow_vm__fail(vm, "%s can't be sliced", flow_val__type_name(v));
    size_t length, count;
    int64_t begin, by;
    if (v.type == V_STRING && flow_val__is_ascii(v))
        v.flags |= VAL_ASCII;
    length = v.type == V_STRING ? flow_val__length_of_string(v) : (size_t)flow_val__length_or_none(v);
    if (!flow_slice__resolve(vm, from, to, step, length, &begin, &by, &count) ||
        !flow_vm__charge(vm, 1 + (v.type == V_STRING ? v.len / 64 : count / 16)))
        return false;
    if (v.type == V_STRING)
        return slice_string(vm, v, begin, by, count, ret);
    if (v.type == V_RANGE) {
        FlowRange *range = flow_vm__alloc(vm, sizeof *range);
        if (range == NULL)
            return false;
        int64_t first = v.range->start + begin * v.range->step, each = by * v.range->step;
        *range = (FlowRange){first, first + (int64_t)count * each, each, count};
        *ret = (FlowVal){.type = V_RANGE, .range = range};
        return true;
    }
    FlowList *list = flow_list__new(vm, count);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        list->items[i] = flow_list__at(v, (size_t)(begin + (int64_t)i * by));
    list->count = count;
    *ret = v.type == V_TUPLE ? val_tuple(list) : val_list(list);
    return true;
}
