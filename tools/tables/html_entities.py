#!/usr/bin/python3
"""Writes src/template/html_entities.h: the named character references of HTML5, sorted by name.

    /usr/bin/python3 tools/tables/html_entities.py > src/template/html_entities.h
"""
import html.entities


def literal(text):
    return '"' + "".join("\\%03o" % byte for byte in text.encode()) + '"'


print("/* Made by tools/tables/html_entities.py from Python's html.entities. Do not edit. */")
print("/* clang-format off */")
print("typedef struct FlowHtmlEntity { const char *name, *text; } FlowHtmlEntity;")
print("static const FlowHtmlEntity html_entities[] = {")
for name in sorted(html.entities.html5, key=lambda n: n.encode()):
    print('    {"%s", %s},' % (name, literal(html.entities.html5[name])))
print("};")
print("/* clang-format on */")
