/*
 * nested.c - JSON values with templates in their strings: compiled to a tree that has the constant parts as they
 * are. What a template gives takes the place of its string and can't change the structure around it.
 */
#include "forms/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum NodeKind { NODE_CONSTANT, NODE_TEXT, NODE_NATIVE, NODE_ARRAY, NODE_OBJECT } NodeKind;

struct FlowNested {
    NodeKind kind;
    FlowValue constant;
    FlowTemplate *tmpl;
    FlowNested *children; /* of arrays and objects */
    FlowValue *keys;      /* of objects */
    size_t count;
};

typedef struct Compiler {
    const FlowField *field;
    const FlowTemplateOptions *options;
    FlowFormErrors *errors;
    bool failed, any;
    char path[160]; /* for messages: "headers.Accept", "[2].name" */
} Compiler;

static void done(FlowNested *node)
{
    for (size_t i = 0; i < node->count; i++) {
        done(&node->children[i]);
        if (node->keys != NULL)
            flow_value_unref(node->keys[i]);
    }
    free(node->children);
    free(node->keys);
    flow_value_unref(node->constant);
    flow_template_unref(node->tmpl);
}

void flow_nested__free(FlowNested *nested)
{
    if (nested == NULL)
        return;
    done(nested);
    free(nested);
}

void flow_nested__each_template(const FlowNested *nested, size_t field,
                                void (*each)(size_t field, const FlowTemplate *tmpl, void *data), void *data)
{
    if (nested == NULL)
        return;
    if (nested->tmpl != NULL)
        each(field, nested->tmpl, data);
    for (size_t i = 0; i < nested->count; i++)
        flow_nested__each_template(&nested->children[i], field, each, data);
}

static void compile_text(Compiler *self, FlowValue text, FlowNested *node)
{
    FlowTemplateError detail = {0};
    FlowError error = {0};
    if (flow_template_compile(flow_value_text(&text), flow_value_length(&text), self->options, &node->tmpl,
                              &detail, &error) != FLOW_OK) {
        flow_form_errors__template(self->errors, (int)self->field->index, self->path, &detail, &error);
        self->failed = true;
        return;
    }
    self->any = true;
    bool native = !(self->field->spec->flags & FLOW_FIELD_NO_NATIVE) && flow_template_is_value(node->tmpl);
    node->kind = native ? NODE_NATIVE : NODE_TEXT;
}

/* Depth is that of the value: at most FLOW_VALUE_MAX_DEPTH. */
static void compile(Compiler *self, FlowValue value, FlowNested *node)
{
    size_t count, path = strlen(self->path);
    bool any_before = self->any;
    *node = (FlowNested){.constant = flow_value_ref(value)};
    if (flow_value_kind(value) == FLOW_VALUE_STRING) {
        if (flow_template_is_template(flow_value_text(&value), flow_value_length(&value)))
            compile_text(self, value, node);
        return;
    }
    const FlowValue *items = flow_array_items(value, &count);
    const FlowMember *members = NULL;
    if (items == NULL)
        members = flow_object_members(value, &count);
    if (items == NULL && members == NULL)
        return;
    node->children = flow_calloc(count, sizeof *node->children);
    if (members != NULL)
        node->keys = flow_calloc(count, sizeof *node->keys);
    self->any = false;
    for (size_t i = 0; i < count; i++) {
        if (members != NULL) {
            node->keys[i] = flow_value_ref(members[i].key);
            snprintf(self->path + path, sizeof self->path - path, "%s%.60s", path > 0 ? "." : "",
                     flow_value_text(&members[i].key));
        } else {
            snprintf(self->path + path, sizeof self->path - path, "[%zu]", i);
        }
        compile(self, members != NULL ? members[i].value : items[i], &node->children[i]);
        node->count = i + 1;
    }
    self->path[path] = '\0';
    if (self->any) {
        node->kind = members != NULL ? NODE_OBJECT : NODE_ARRAY;
    } else {
        /* Nothing to render below: the value itself will do. */
        FlowNested shell = *node;
        shell.constant = flow_value_null();
        done(&shell);
        *node = (FlowNested){.constant = node->constant};
    }
    self->any = self->any || any_before;
}

FlowNested *flow_nested__compile(const FlowField *field, FlowValue value, const FlowTemplateOptions *options,
                                 FlowFormErrors *errors, bool *ret_failed)
{
    Compiler compiler = {.field = field, .options = options, .errors = errors};
    FlowNested *root = flow_new(FlowNested);
    compile(&compiler, value, root);
    *ret_failed = compiler.failed;
    if (compiler.any && !compiler.failed)
        return root;
    flow_nested__free(root);
    return NULL;
}

typedef struct Renderer {
    const FlowTemplateContext *context;
    FlowBuf *scratch;
    FlowTemplateError *detail;
    FlowError *reterr;
} Renderer;

static FlowStatus render(Renderer *self, const FlowNested *node, FlowValue *ret_value);

static FlowStatus render_children(Renderer *self, const FlowNested *node, FlowValue *to)
{
    for (size_t i = 0; i < node->count; i++) {
        FlowValue value;
        FlowStatus status = render(self, &node->children[i], &value);
        if (status == FLOW_OK)
            status = node->keys != NULL ? flow_object_set_key_take(to, node->keys[i], value, self->reterr)
                                        : flow_array_push_take(to, value, self->reterr);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

static FlowStatus render(Renderer *self, const FlowNested *node, FlowValue *ret_value)
{
    FlowValue value;
    FlowStatus status;
    switch (node->kind) {
    case NODE_NATIVE:
        return flow_template_eval(node->tmpl, self->context, ret_value, self->detail, self->reterr);
    case NODE_TEXT:
        flow_buf_clear(self->scratch);
        status = flow_template_render(node->tmpl, self->context, self->scratch, self->detail, self->reterr);
        if (status != FLOW_OK)
            return status;
        return flow_value_try_string(self->scratch->len > 0 ? self->scratch->data : "", self->scratch->len,
                                     ret_value, self->reterr);
    case NODE_ARRAY:
    case NODE_OBJECT:
        value = node->kind == NODE_ARRAY ? flow_value_array() : flow_value_object();
        status = render_children(self, node, &value);
        if (status == FLOW_OK)
            *ret_value = value;
        else
            flow_value_unref(value);
        return status;
    default:
        *ret_value = flow_value_ref(node->constant);
        return FLOW_OK;
    }
}

FlowStatus flow_nested__render(const FlowNested *nested, const FlowTemplateContext *context, FlowBuf *scratch,
                               FlowValue *ret_value, FlowTemplateError *detail, FlowError *reterr)
{
    Renderer renderer = {context, scratch, detail, reterr};
    return render(&renderer, nested, ret_value);
}
