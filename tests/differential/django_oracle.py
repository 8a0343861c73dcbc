"""Django itself as the oracle: fields and forms made from the descriptions that flow-conform takes."""
import datetime
import decimal
import uuid

import django
from django.conf import settings

settings.configure(USE_L10N=False, USE_TZ=False, USE_I18N=False)
django.setup()

from django import forms  # noqa: E402
from django.core.exceptions import ValidationError  # noqa: E402
from django.core.validators import EMPTY_VALUES  # noqa: E402
from django.utils.duration import duration_string  # noqa: E402

COERCE = {"int": int, "float": float, "str": str}
WIDGETS = ("TextInput", "Textarea", "PasswordInput", "HiddenInput", "NumberInput", "EmailInput", "URLInput", "CheckboxInput",
           "Select", "NullBooleanSelect", "SelectMultiple", "RadioSelect", "CheckboxSelectMultiple")


def make_field(spec):
    """A Django field from {"type", options}; the names of the options are Django's own."""
    options = {k: v for k, v in spec.items() if k not in ("name", "type", "choices_by")}
    cls = getattr(forms, spec["type"])
    if "coerce" in options:
        options["coerce"] = COERCE[options["coerce"]]
    for limit in ("min_value", "max_value"):
        if spec["type"] == "DecimalField" and limit in options:
            options[limit] = decimal.Decimal(options[limit])
    widget, attrs = options.pop("widget", None), options.pop("attrs", None)
    widget_choices, render_value = options.pop("widget_choices", None), options.pop("render_value", None)
    if widget or attrs:
        arguments = {"attrs": attrs} if attrs else {}
        if widget_choices is not None:
            arguments["choices"] = widget_choices
        if render_value is not None:
            arguments["render_value"] = render_value
        options["widget"] = getattr(forms, widget)(**arguments) if widget else cls.widget(**arguments)
    return cls(**options)


def plain(value):
    """A cleaned value as JSON has it."""
    if isinstance(value, datetime.timedelta):
        return duration_string(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return str(value)
    return value


def invalid_message(field):
    """What an input on which Django itself crashes is told."""
    if "invalid" in field.error_messages:
        return str(field.error_messages["invalid"])
    if isinstance(field, forms.GenericIPAddressField):
        try:
            field.run_validators("no address")
        except ValidationError as error:
            return error.messages[0]
    return "?"


def clean(field, value):
    try:
        return {"ok": True, "cleaned": plain(field.clean(value))}
    except ValidationError as error:
        return {"ok": False, "errors": [str(m) for m in error.messages]}
    except Exception:
        return {"ok": False, "errors": [invalid_message(field)]}


# ---- whole forms ----

def choices_for(by, parent_value):
    empty = [tuple(by["empty"])] if by.get("empty") else []
    return empty + [tuple(c) for c in by["map"].get("None" if parent_value is None else str(parent_value), [])]


class Rules:
    """Form.clean() for the rules equal, ordered and any_of."""

    def __init__(self, rules):
        self.rules = rules

    def apply(self, form):
        for rule in self.rules:
            if any(name not in form.cleaned_data for name in rule["fields"]):
                continue
            values = [form.cleaned_data[name] for name in rule["fields"]]
            if rule["rule"] == "equal":
                ok = all(v == values[0] for v in values)
            elif rule["rule"] == "ordered":
                given = [v for v in values if v not in EMPTY_VALUES]
                ok = all(a <= b for a, b in zip(given, given[1:]))
            else:
                ok = any(v not in EMPTY_VALUES and v is not False for v in values)
            if not ok:
                form.add_error(rule.get("target"), rule["message"])


def make_form(description, bound, data, initial):
    rules = Rules(description.get("rules", []))
    by_parent = {f["name"]: f["choices_by"] for f in description["fields"] if "choices_by" in f}

    class Form(forms.Form):
        def clean(self):
            rules.apply(self)

    form = Form(data if bound else None, initial=initial)
    for spec in description["fields"]:
        form.fields[spec["name"]] = make_field(spec)
    for name, by in by_parent.items():
        parent = by["parent"]
        raw = data.get(parent) if bound else form.get_initial_for_field(form.fields[parent], parent)
        form.fields[name].choices = choices_for(by, raw)
    return form


def describe(form, bound):
    """The shape of forms_serialize.jsonl, read off Django's widgets."""
    fields = []
    for bf in form:
        widget = bf.field.widget
        value = bf.value()
        context = widget.get_context(bf.html_name, value, bf.build_widget_attrs({}))["widget"]
        attrs = {k: v for k, v in context["attrs"].items() if k not in ("checked", "multiple", "id")}
        hidden_value = isinstance(widget, forms.PasswordInput) and not widget.render_value
        entry = {"name": bf.name, "label": bf.label, "help_text": bf.help_text, "required": bf.field.required, "attrs": attrs,
                 "value": None if hidden_value else plain(value), "errors": [str(e) for e in bf.errors]}
        if isinstance(widget, forms.widgets.ChoiceWidget):
            select = isinstance(widget, forms.Select)
            options = []
            for group, choices, _ in context["optgroups"]:
                for choice in choices:
                    option = {"value": str(choice["value"]), "text": str(choice["label"]), "selected": choice["selected"]}
                    if select and group:
                        option["group"] = str(group)
                    options.append(option)
            entry["options"] = options
        entry["tag"] = "select" if isinstance(widget, forms.Select) else "textarea" if isinstance(widget, forms.Textarea) else "input"
        if entry["tag"] == "input":
            entry["type"] = widget.input_type
        if entry["tag"] == "select":
            entry["multiple"] = widget.allow_multiple_selected
        if isinstance(widget, forms.CheckboxInput):
            entry["checked"] = bool(context["attrs"].get("checked"))
        fields.append(entry)
    answer = {"is_valid": form.is_valid() if bound else None, "fields": fields,
              "non_field_errors": [str(e) for e in form.non_field_errors()]}
    if bound:
        answer["cleaned"] = {k: plain(v) for k, v in form.cleaned_data.items()}
    return answer
