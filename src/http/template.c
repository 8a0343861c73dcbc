#include "http/template.h"

#include <string.h>

typedef struct Parser {
    const char *at;
    FlowTemplate *to;
    const char *problem;
    bool in_variable;
} Parser;

static bool fail(Parser *self, const char *problem)
{
    if (self->problem == NULL)
        self->problem = problem;
    return false;
}

static bool is_alpha(char c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* What a path segment may hold as it is (RFC 3986), but "*" and ":". */
static size_t literal_length(const char *at)
{
    size_t len = 0;
    for (;;) {
        char c = at[len];
        if (c == '%' && is_hex(at[len + 1]) && is_hex(at[len + 2]))
            len += 3;
        else if (is_alpha(c) || is_digit(c) || (c != '\0' && strchr("-.~!$&'()+,;=@", c) != NULL))
            len++;
        else
            return len;
    }
}

static bool add_segment(Parser *self, FlowTemplateSegment segment)
{
    FlowTemplate *to = self->to;
    if (to->segment_count > 0 && to->segments[to->segment_count - 1].rest)
        return fail(self, "\"**\" must be the last segment");
    if (to->segment_count == FLOW_TEMPLATE_SEGMENTS)
        return fail(self, "the template has too many segments");
    to->segments[to->segment_count++] = segment;
    return true;
}

static bool read_segments(Parser *self);

static bool read_identifier(Parser *self)
{
    if (!is_alpha(*self->at))
        return fail(self, "a variable is a field path such as \"workflow.id\"");
    while (is_alpha(*self->at) || is_digit(*self->at))
        self->at++;
    return true;
}

static bool read_variable(Parser *self)
{
    if (self->in_variable)
        return fail(self, "a variable can't stand inside a variable");
    FlowTemplate *to = self->to;
    if (to->variable_count == FLOW_TEMPLATE_VARIABLES)
        return fail(self, "the template has too many variables");
    FlowTemplateVariable *variable = &to->variables[to->variable_count++];
    *variable = (FlowTemplateVariable){.name = ++self->at, .first = to->segment_count};
    if (!read_identifier(self))
        return false;
    while (*self->at == '.') {
        self->at++;
        if (!read_identifier(self))
            return false;
    }
    variable->name_len = (size_t)(self->at - variable->name);
    if (*self->at == '=') {
        self->at++;
        self->in_variable = true;
        if (!read_segments(self))
            return false;
        self->in_variable = false;
    } else if (!add_segment(self, (FlowTemplateSegment){.any = true})) {
        return false;
    }
    if (*self->at != '}')
        return fail(self, "a variable ends with \"}\"");
    self->at++;
    variable->count = to->segment_count - variable->first;
    variable->open_end = to->segments[to->segment_count - 1].rest;
    return true;
}

static bool read_segment(Parser *self)
{
    if (*self->at == '{')
        return read_variable(self);
    if (self->at[0] == '*' && self->at[1] == '*') {
        self->at += 2;
        return add_segment(self, (FlowTemplateSegment){.rest = true});
    }
    if (*self->at == '*') {
        self->at++;
        return add_segment(self, (FlowTemplateSegment){.any = true});
    }
    size_t len = literal_length(self->at);
    if (len == 0)
        return fail(self, "a segment is empty, or has a character that can't stand in a path");
    FlowTemplateSegment segment = {.text = self->at, .len = len};
    self->at += len;
    return add_segment(self, segment);
}

static bool read_segments(Parser *self)
{
    for (;;) {
        if (!read_segment(self))
            return false;
        if (*self->at != '/')
            return true;
        self->at++;
    }
}

const char *flow_template_path_parse(const char *text, FlowTemplate *ret_template)
{
    Parser self = {.at = text, .to = ret_template};
    *ret_template = (FlowTemplate){.verb = ""};
    if (*self.at != '/')
        return "a template begins with \"/\"";
    self.at++;
    if (!read_segments(&self))
        return self.problem;
    if (*self.at == ':') {
        const char *verb = ++self.at;
        size_t len = literal_length(verb);
        if (len == 0)
            return "there is no verb behind \":\"";
        ret_template->verb = verb;
        ret_template->verb_len = len;
        self.at += len;
    }
    return *self.at == '\0' ? NULL : "a segment is a literal, \"*\", \"**\" or a variable, as a whole";
}
