"""Makes random Jinja templates with contexts, mostly meaningful, some wrong. Equal seeds give equal templates."""
import random

WORDS = ["alpha", "Beta", "gamma delta", "", "it's", 'say "hi"', "a,b,,c", "  pad ", "Zoë", "日本語", "x<y>&z", "line1\nline2", "42", "-7", "3.5",
         "1e3", "true", "UPPER", "lower", "Title Case", "a-b_c", "ﬁn", "ß", "tab\there", "100%", "{}", "%s"]
KEYS = ["name", "n", "price", "tags", "user", "city", "ok", "none", "list", "k1", "k2", "first name"]


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names = []
        self.loops = 0
        self.escaping = 0

    # ---- contexts ----

    def scalar(self):
        r = self.r
        return r.choice([
            lambda: r.choice(WORDS), lambda: r.randint(-20, 100), lambda: r.choice([0, 1, -1, 2**40, 10**15]),
            lambda: round(r.uniform(-50, 50), r.randint(0, 4)), lambda: r.choice([0.1, 1e-7, 1e16, 2.5, 3.0, -0.0, 123456789.125]),
            lambda: r.choice([True, False]), lambda: None])()

    def value(self, depth):
        r = self.r
        kind = r.random()
        if depth <= 0 or kind < 0.45:
            return self.scalar()
        if kind < 0.75:
            homogeneous = r.random() < 0.6
            if homogeneous:
                make = r.choice([lambda: r.randint(-9, 30), lambda: r.choice(WORDS), lambda: round(r.uniform(0, 9), 2)])
                return [make() for _ in range(r.randint(0, 6))]
            return [self.value(depth - 1) for _ in range(r.randint(0, 4))]
        return {k: self.value(depth - 1) for k in r.sample(KEYS, r.randint(0, 4))}

    def context(self):
        r = self.r
        data = {k: self.value(2) for k in r.sample(KEYS, r.randint(3, 8))}
        data["rows"] = [{"name": r.choice(WORDS), "n": r.randint(0, 5), "price": round(r.uniform(0, 20), 2), "city": r.choice(["Oslo", "Rome", "oslo"]),
                         "ok": r.choice([True, False])} for _ in range(r.randint(0, 5))]
        data["nums"] = [r.randint(-10, 20) for _ in range(r.randint(0, 6))]
        data["words"] = [r.choice(WORDS) for _ in range(r.randint(0, 5))]
        data["s"] = r.choice(WORDS)
        data["m"] = {k: r.randint(0, 9) for k in r.sample(["b", "A", "c", "D"], r.randint(0, 4))}
        return {"data": data, "x": r.randint(-5, 20), "t": r.choice(WORDS)}

    # ---- literals ----

    def quoted(self, text):
        text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
        return '"%s"' % text.replace('"', '\\"') if self.r.random() < 0.3 else "'%s'" % text.replace("'", "\\'")

    def lit_str(self):
        return self.quoted(self.r.choice(WORDS))

    def lit_int(self):
        r = self.r
        return str(r.choice([0, 1, 2, 3, 5, 7, 10, 42, 100, 255, 1000, r.randint(0, 10**6)]))

    def lit_float(self):
        return self.r.choice(["0.5", "1.0", "2.25", "3.14159", "1e3", "1.5e-5", "10.0", "0.1", "99.995", "1e16"])

    # ---- expressions by type ----

    def int_(self, d):
        r = self.r
        if d <= 0:
            return r.choice([self.lit_int, lambda: "x", lambda: "data.nums[0]", lambda: "data.n", lambda: "(data.nums | length)", self.loop_int])()
        e = r.choice([
            lambda: "%s %s %s" % (self.paren_int(d - 1), r.choice("+-*"), self.paren_int(d - 1)),
            lambda: "%s %s %s" % (self.paren_int(d - 1), r.choice(["//", "%"]), r.choice(["2", "3", "7", "-4", self.lit_int()])),
            lambda: "%s ** %s" % (self.paren_int(d - 1), r.choice(["0", "1", "2", "3", "5", "70"])),
            lambda: "-%s" % self.paren_int(d - 1),
            lambda: "(%s) | abs" % self.int_(d - 1),
            lambda: "(%s) | int" % self.any_(d - 1),
            lambda: "%s | int(%s)" % (self.str_(0), r.choice(["0", "-1", "default=7", "0, 16", "base=8"])),
            lambda: "(%s) | %s" % (self.list_(d - 1), r.choice(["length", "count", "list | length"])),
            lambda: "(%s) | sum" % self.nums(d - 1),
            lambda: "(%s) | %s" % (self.nums(d - 1), r.choice(["max", "min", "first", "last"])),
            lambda: "data.rows | sum(attribute='n')",
            lambda: "(%s) | wordcount" % self.str_(d - 1),
            lambda: "(%s).count(%s)" % (self.str_(d - 1), self.lit_str()),
            lambda: "(%s).%s(%s)" % (self.str_(d - 1), r.choice(["find", "rfind"]), self.lit_str()),
            lambda: "(%s if %s else %s)" % (self.int_(d - 1), self.bool_(d - 1), self.int_(d - 1)),
            lambda: "(%s) | round" % self.int_(d - 1), lambda: "(%s) | round(-1)" % self.int_(d - 1),
            lambda: "%s | length" % self.str_(0)])()
        return e

    def paren_int(self, d):
        e = self.int_(d)
        return e if e.replace(".", "").isalnum() else "(%s)" % e

    def loop_int(self):
        if self.loops:
            return self.r.choice(["loop.index", "loop.index0", "loop.length", "loop.revindex", "loop.revindex0", "loop.depth"])
        return self.lit_int()

    def float_(self, d):
        r = self.r
        if d <= 0:
            return r.choice([self.lit_float, lambda: "data.price", lambda: "(data.rows | map(attribute='price') | list)[0]"])()
        return r.choice([
            lambda: "(%s) %s (%s)" % (self.num(d - 1), r.choice(["/", "*", "+", "-", "//", "%"]), self.num(d - 1)),
            lambda: "(%s) | round(%s)" % (self.num(d - 1), r.choice(["", "1", "2", "3", "0", "-1", "1, 'ceil'", "2, 'floor'", "method='ceil'"])),
            lambda: "(%s) | float" % self.any_(d - 1),
            lambda: "(%s) | float(%s)" % (self.str_(d - 1), self.lit_float()),
            lambda: "(%s) ** %s" % (self.num(d - 1), r.choice(["2", "0.5", "-1", "2.0"])),
            lambda: "(%s) | abs" % self.float_(d - 1),
            lambda: "data.rows | sum(attribute='price')"])()

    def num(self, d):
        return self.int_(d) if self.r.random() < 0.6 else self.float_(d)

    def str_(self, d):
        r = self.r
        if d <= 0:
            return r.choice([self.lit_str, self.lit_str, lambda: "t", lambda: "data.s", lambda: "data.words[0]", lambda: "data.name"])()
        s = "(%s)" % self.str_(d - 1)
        return r.choice([
            lambda: "%s | %s" % (s, r.choice(["upper", "lower", "title", "capitalize", "trim", "string", "escape", "e", "forceescape", "reverse",
                                              "urlencode", "striptags", "wordwrap(5)", "wordwrap(7, false)", "indent", "indent(2, true)",
                                              "indent(1, blank=true)", "center(12)", "center", "truncate(5)", "truncate(7, true)",
                                              "truncate(6, false, '..', 0)", "safe", "replace('a', 'XY')", "replace('', '-')",
                                              "replace('e', '', 1)", "trim('a')", "first", "last", "list | join('|')", "sort | join",
                                              "unique | join(',')", "wordwrap(4, wrapstring='/')", "default('d')", "default('d', true)"])),
            lambda: "%s.%s" % (s, r.choice(["upper()", "lower()", "title()", "capitalize()", "swapcase()", "strip()", "lstrip()", "rstrip()",
                                            "strip('a')", "replace('a', 'b')", "replace('a', 'b', 1)", "zfill(6)", "ljust(8, '.')", "rjust(8)",
                                            "center(9, '*')", "expandtabs(4)", "casefold()", "split(',')[0]", "partition(',')[0]",
                                            "rpartition(' ')[2]", "removeprefix('a')", "removesuffix('a')", "splitlines() | join('/')",
                                            "split() | join('+')", "rsplit(',', 1) | join('#')", "title().swapcase()"])),
            lambda: "%s ~ %s" % (s, "(%s)" % self.any_(d - 1)),
            lambda: "%s + %s" % (s, "(%s)" % self.str_(d - 1)),
            lambda: "%s * %s" % (s, r.choice(["0", "1", "2", "3", "-1"])),
            lambda: "%s[%s]" % (s, self.slice()),
            lambda: "(%s) | string" % self.any_(d - 1),
            lambda: "(%s) | join(%s)" % (self.list_(d - 1), self.lit_str()),
            lambda: "%s.join(%s)" % (self.lit_str(), self.words(d - 1)),
            lambda: "'%s' | format(%s)" % (r.choice(["%d", "%5d", "%-5d|", "%05d", "%+d", "%x", "%X", "%o", "% d", "%s"]), self.int_(d - 1)),
            lambda: "'%s' | format(%s)" % (r.choice(["%.2f", "%8.3f", "%-9.1f|", "%e", "%g", "%G", "%+.0f", "%08.2f", "%#.3g", "%s", "%r"]), self.num(d - 1)),
            lambda: "'%s' %% (%s,)" % (r.choice(["%s!", "%10s|", "%-6s|", "%.3s", "%r", "100%% %s"]), self.any_(d - 1)),
            lambda: "'{:%s}'.format(%s)" % (r.choice(["", "d", "5d", "<6d", "^7d", "+d", ",", "_", "x", "#x", "b", "o", "06d", ",.1f", "e", "%", "c", "*>8", "08,d"]),
                                            self.int_(d - 1)),
            lambda: "'{:%s}'.format(%s)" % (r.choice(["", ".2f", "8.3f", "g", ".3g", "e", ".1%", ",.2f", "+.1f", "010.2f", ".4", "_.1f", "<10", "^12.3e", "n"]),
                                            self.float_(d - 1)),
            lambda: "'{:%s}|{}'.format(%s, %s)" % (r.choice(["", ">8", "<8", "^8", "*^9", ".3", "10.2", "s"]), s, self.any_(d - 1)),
            lambda: "(%s) | tojson" % self.plain(d - 1),
            lambda: "(%s) | tojson(%s)" % (self.plain(d - 1), r.choice(["2", "indent=1", "0"])),
            lambda: "(%s) | filesizeformat%s" % (self.num(d - 1), r.choice(["", "(true)"])),
            lambda: "{'a': %s, 'b': none, 'c d': 1} | xmlattr" % s if r.random() < 0.2 else "{'a': %s, 'b': none} | xmlattr" % s,
            lambda: "(%s if %s else %s)" % (s, self.bool_(d - 1), self.str_(d - 1)),
            lambda: "data.m | urlencode", lambda: "%s | urlize" % self.lit_str()])()

    def slice(self):
        r = self.r
        part = lambda: r.choice(["", "", "0", "1", "2", "-1", "-2", "5"])
        return r.choice([lambda: "%s:%s" % (part(), part()), lambda: "%s:%s:%s" % (part(), part(), r.choice(["1", "2", "-1", "-2", "3"])),
                         lambda: r.choice(["0", "1", "-1", "3"])])()

    def bool_(self, d):
        r = self.r
        if d <= 0:
            return r.choice(["true", "false", "data.ok", "data.missing", "data.s", "x", "data.nums", "none", "data.rows"])
        return r.choice([
            lambda: "%s %s %s" % (self.paren_int(d - 1), r.choice(["==", "!=", "<", "<=", ">", ">="]), self.paren_int(d - 1)),
            lambda: "(%s) %s (%s)" % (self.num(d - 1), r.choice(["==", "<", ">="]), self.num(d - 1)),
            lambda: "(%s) %s (%s)" % (self.str_(d - 1), r.choice(["==", "!=", "<", ">"]), self.str_(d - 1)),
            lambda: "(%s) %s (%s)" % (self.any_(d - 1), r.choice(["==", "!=", "<", "in", "not in"]), self.any_(d - 1)),
            lambda: "%s <= %s < %s" % (self.paren_int(d - 1), self.paren_int(d - 1), self.paren_int(d - 1)),
            lambda: "(%s) in (%s)" % (self.any_(0), self.list_(d - 1)),
            lambda: "%s in (%s)" % (self.lit_str(), self.str_(d - 1)),
            lambda: "not (%s)" % self.bool_(d - 1),
            lambda: "(%s) %s (%s)" % (self.bool_(d - 1), r.choice(["and", "or"]), self.bool_(d - 1)),
            lambda: "(%s) is %s%s" % (self.any_(d - 1), r.choice(["", "not "]),
                                      r.choice(["defined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable",
                                                "true", "false", "undefined", "lower", "upper", "escaped", "callable"])),
            lambda: "(%s) is %s" % (self.int_(d - 1), r.choice(["odd", "even", "divisibleby 3", "divisibleby(2)", "gt 3", "lt(5)", "ge 2", "eq 1", "ne 2", "in [1, 2, 3]"])),
            lambda: "(%s) is sameas %s" % (self.bool_(0), r.choice(["true", "false", "none"])),
            lambda: "(%s).%s" % (self.str_(d - 1), r.choice(["isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()",
                                                            "isnumeric()", "isdecimal()", "startswith('a')", "endswith('a')", "startswith(('b', 'Z'))"]))])()

    def nums(self, d):
        r = self.r
        if d <= 0:
            return r.choice(["data.nums", "[3, 1, 2]", "range(5)", "[]", "[1.5, 2, -1]", "range(2, 9, 3)"])
        n = "(%s)" % self.nums(d - 1)
        return r.choice([
            lambda: "%s | sort" % n, lambda: "%s | sort(reverse=true)" % n, lambda: "%s | unique | list" % n, lambda: "%s | map('abs') | list" % n,
            lambda: "%s | select('%s') | list" % (n, r.choice(["odd", "even", "number"])),
            lambda: "%s | select('gt', %s) | list" % (n, self.lit_int()), lambda: "%s | reject('lt', 2) | list" % n, lambda: "%s | reverse | list" % n,
            lambda: "(%s | list)[%s:]" % (n, r.choice(["0", "1", "-2"])), lambda: "(%s | list) + [%s]" % (n, self.int_(d - 1)),
            lambda: "(%s | list)[::-1]" % n, lambda: "%s | map('int') | list" % n])()

    def words(self, d):
        r = self.r
        if d <= 0:
            return r.choice(["data.words", "['b', 'A', 'c']", "t.split(',')", "data.s.split()", "[]", "data.rows | map(attribute='name') | list"])
        w = "(%s)" % self.words(d - 1)
        return r.choice([
            lambda: "%s | sort" % w, lambda: "%s | sort(case_sensitive=true)" % w, lambda: "%s | unique | list" % w,
            lambda: "%s | map('%s') | list" % (w, r.choice(["upper", "lower", "title", "trim", "capitalize", "reverse", "string", "e"])),
            lambda: "%s | map('replace', 'a', 'o') | list" % w, lambda: "%s | select | list" % w, lambda: "%s | reject('equalto', '') | list" % w,
            lambda: "%s | reverse | list" % w, lambda: "(%s)[1:]" % w, lambda: "%s + [%s]" % (w, self.str_(d - 1))])()

    def list_(self, d):
        r = self.r
        if d <= 0:
            return r.choice([lambda: self.nums(0), lambda: self.words(0), lambda: "data.list", lambda: "data.tags", lambda: "data.rows", lambda: "data.m"])()
        return r.choice([
            lambda: self.nums(d), lambda: self.words(d),
            lambda: "[%s]" % ", ".join(self.any_(d - 1) for _ in range(r.randint(0, 3))),
            lambda: "(%s,)" % self.any_(d - 1), lambda: "(%s, %s)" % (self.any_(d - 1), self.any_(d - 1)),
            lambda: "data.rows | map(attribute='%s') | list" % r.choice(["name", "n", "city", "nope", "name.x"]),
            lambda: "data.rows | map(attribute='nope', default='-') | list",
            lambda: "data.rows | selectattr('%s') | list" % r.choice(["ok", "n", "name", "nope"]),
            lambda: "data.rows | rejectattr('ok') | map(attribute='n') | list",
            lambda: "data.rows | selectattr('n', '%s', %s) | list" % (r.choice(["gt", "<", "==", "!=", "ge"]), self.lit_int()),
            lambda: "data.rows | sort(attribute='%s') | map(attribute='name') | list" % r.choice(["n", "price", "city", "n,name", "city,n"]),
            lambda: "data.rows | groupby('%s')" % r.choice(["n", "city", "ok"]),
            lambda: "data.rows | groupby('city', case_sensitive=true) | map('first') | list",
            lambda: "data.m | dictsort", lambda: "data.m | dictsort(by='value')", lambda: "data.m | dictsort(true, reverse=true)",
            lambda: "data.m.%s() | list" % r.choice(["items", "keys", "values"]), lambda: "data.m | items | list",
            lambda: "(%s) | batch(%s) | list" % (self.nums(d - 1), r.choice(["2", "3", "2, 0", "3, none", "4, 'x'"])),
            lambda: "(%s) | slice(%s) | list" % (self.nums(d - 1), r.choice(["2", "3", "2, 'f'", "4"])),
            lambda: "(%s) | list" % self.str_(d - 1), lambda: "(%s) * 2" % self.list_literal(d - 1),
            lambda: "(%s).splitlines()" % self.str_(d - 1), lambda: "(%s).partition(',')" % self.str_(d - 1)])()

    def list_literal(self, d):
        return "[%s]" % ", ".join(self.any_(d - 1) for _ in range(self.r.randint(0, 3)))

    def dict_(self, d):
        r = self.r
        if d <= 0:
            return r.choice(["data.m", "data.user", "{}", "data.rows[0]", "{'a': 1}"])
        return r.choice([
            lambda: "{%s}" % ", ".join("%s: %s" % (r.choice([self.lit_str(), self.lit_int()]), self.any_(d - 1)) for _ in range(r.randint(0, 3))),
            lambda: "dict(a=%s, b=%s)" % (self.any_(d - 1), self.any_(d - 1)), lambda: "dict(data.m, z=%s)" % self.int_(d - 1)])()

    def plain(self, d):
        """Something with a form in JSON."""
        return self.r.choice([lambda: self.num(d), lambda: self.lit_str(), lambda: "data", lambda: "data.rows", lambda: "data.m", lambda: "data.list",
                              lambda: "[%s, %s]" % (self.lit_str(), self.num(d - 1)), lambda: "{'b': %s, 'a': [1, none]}" % self.num(d - 1),
                              lambda: "data.s", lambda: "(1, 2)"])()

    def any_(self, d):
        r = self.r
        return r.choice([lambda: self.int_(d), lambda: self.float_(d), lambda: self.str_(d), lambda: self.bool_(d), lambda: self.list_(d), lambda: self.dict_(d),
                         lambda: "none", self.path, self.path, lambda: r.choice(self.names) if self.names else "x"])()

    def path(self):
        r = self.r
        path = "data"
        for _ in range(r.randint(1, 3)):
            path += r.choice([lambda: "." + r.choice([k for k in KEYS if " " not in k]), lambda: "[%s]" % r.choice(["0", "1", "-1", "7"]),
                              lambda: "['%s']" % r.choice(KEYS), lambda: ".0"])()
        return path

    # ---- statements ----

    def print_(self, d):
        l, r = self.r.choice([("{{ ", " }}"), ("{{ ", " }}"), ("{{", "}}"), ("{{- ", " -}}"), ("{{ ", " -}}")])
        e = self.any_(d)
        if l == "{{" and e[:1] in "-+{":
            l = "{{ "
        if r == "}}" and e[-1:] in "}-":
            r = " }}"
        return l + e + r

    def text(self):
        return self.r.choice(["text ", " ", "\n", "a\n  b ", "<p>", "", ": ", " {x} ", "50% ", "# ", "\t"])

    def tag(self, inside):
        left, right = self.r.choice([("{% ", " %}"), ("{% ", " %}"), ("{%- ", " %}"), ("{% ", " -%}"), ("{%- ", " -%}")])
        return left + inside + right

    def body(self, d, most=3):
        return "".join(self.statement(d) for _ in range(self.r.randint(1, most)))

    def statement(self, d):
        r = self.r
        kind = r.random()
        if d <= 0 or kind < 0.35:
            return self.text() + self.print_(max(1, min(d, 2)))
        if kind < 0.45:
            return self.text()
        return r.choice([self.if_, self.for_, self.for_, self.set_, self.with_, self.macro, self.set_block, self.filter_block, self.namespace,
                         self.autoescape, self.comment, self.raw, self.block, self.recursive])(d - 1)

    def if_(self, d):
        s = self.tag("if " + self.bool_(2)) + self.body(d)
        if self.r.random() < 0.4:
            s += self.tag("elif " + self.bool_(1)) + self.body(d, 2)
        if self.r.random() < 0.5:
            s += self.tag("else") + self.body(d, 2)
        return s + self.tag("endif")

    def for_(self, d):
        r = self.r
        name = r.choice(["i", "item", "v"])
        pair = r.random() < 0.2
        over = r.choice(["data.m.items()", "data.m | dictsort", "[[1, 2], ('a', 'b')]", "data.rows | groupby('city')"]) if pair else self.list_(1)
        head = "for %s in %s" % ("k, v" if pair else name, over)
        if not pair and r.random() < 0.2:
            head += " if %s" % r.choice([name, "%s is string" % name, "%s is number" % name, "loop is defined"])
        known = list(self.names)
        self.names += ["k", "v"] if pair else [name]
        self.loops += 1
        s = self.tag(head) + self.body(d)
        if r.random() < 0.4:
            s += "{{ %s }}" % r.choice(["loop.first", "loop.last", "loop.index", "loop.cycle('a', 'b')", "loop.previtem | default('-')",
                                        "loop.nextitem | default('-')", "',' if not loop.last", "loop.changed(1)", "loop.length"])
        self.loops -= 1
        self.names = known
        if r.random() < 0.3:
            s += self.tag("else") + self.body(d, 2)
        return s + self.tag("endfor")

    def recursive(self, d):
        return "{% for t in [{'n': 1, 'c': [{'n': 2}, {'n': 3, 'c': [{'n': 4}]}]}] recursive %}{{ t.n }}{{ loop.depth }}[{{ loop(t.c) if t.c }}]{% endfor %}"

    def set_(self, d):
        name = self.r.choice(["a", "b", "c", "x"])
        s = self.tag("set %s = %s" % (name, self.any_(2)))
        self.names.append(name)
        return s

    def set_block(self, d):
        name = self.r.choice(["a", "b", "blk"])
        s = self.tag("set %s%s" % (name, self.r.choice(["", " | upper", " | trim", " | replace('a', 'b')"]))) + self.body(d, 2) + self.tag("endset")
        self.names.append(name)
        return s

    def with_(self, d):
        known = list(self.names)
        head = "with a = %s, b = %s" % (self.any_(1), self.any_(1))
        self.names += ["a", "b"]
        s = self.tag(head) + self.body(d) + self.tag("endwith")
        self.names = known
        return s

    def macro(self, d):
        r = self.r
        name = "m%d" % r.randint(0, 99)
        known, loops = list(self.names), self.loops
        self.names += ["p", "q"]
        self.loops = 0
        s = self.tag("macro %s(p, q=%s)" % (name, self.any_(1))) + self.body(d, 2)
        caller = r.random() < 0.3
        if caller:
            s += "{{ caller(p) if caller }}"
        if r.random() < 0.2:
            s += "{{ varargs }}{{ kwargs }}"
        s += self.tag("endmacro")
        self.names, self.loops = known, loops
        call = "%s(%s)" % (name, r.choice(["", self.any_(1), "%s, %s" % (self.any_(1), self.any_(0)), "q=%s" % self.any_(1), "1, 2, 3", "p=1, z=2"]))
        if caller and r.random() < 0.7:
            return s + self.tag("call(y) " + call) + "<{{ y }}>" + self.tag("endcall")
        return s + "{{ %s }}" % call + ("{{ %s | upper }}" % call if r.random() < 0.3 else "")

    def filter_block(self, d):
        return self.tag("filter " + self.r.choice(["upper", "trim", "replace('a', 'b')", "indent(2)", "title | trim", "e", "string"])) + self.body(d, 2) + self.tag("endfilter")

    def namespace(self, d):
        return ("{% set ns = namespace(n=0, l=[]) %}{% for i in " + self.nums(1) + " %}{% set ns.n = ns.n + i %}{% set ns.l = ns.l + [i] %}{% endfor %}"
                "{{ ns.n }}{{ ns.l }}{% if " + self.bool_(1) + " %}{% set ns.z = 1 %}{% endif %}{{ ns.z }}")

    def autoescape(self, d):
        self.escaping += 1
        s = self.tag("autoescape " + self.r.choice(["true", "false"])) + self.body(d, 2) + self.tag("endautoescape")
        self.escaping -= 1
        return s

    def comment(self, d):
        return self.r.choice(["{# a {{ comment }} #}", "{#- x -#}", "{#\n#}"])

    def raw(self, d):
        return self.r.choice(["{% raw %}{{ x }}{% endraw %}", "{%- raw -%} {% if %} {%- endraw -%}"])

    def block(self, d):
        if self.escaping:  # Jinja's blocks don't escape; ours do as what stands around them does
            return self.text()
        known, loops = list(self.names), self.loops
        self.loops = 0
        s = self.tag("block b%d%s" % (self.r.randint(0, 9999), self.r.choice(["", " scoped"]))) + self.body(d, 2) + self.tag("endblock")
        self.names, self.loops = known, loops
        return s

    def broken(self, source):
        """Takes something away or puts something in."""
        r = self.r
        if not source:
            return source
        at = r.randrange(len(source))
        return r.choice([lambda: source[:at] + source[at + 1:], lambda: source[:at] + r.choice(["{{", "}}", "{%", "%}", "(", ")", "]", "|", "'", "\"", " if ", ".", ","]) + source[at:],
                         lambda: source[:at]])()

    def template(self):
        r = self.r
        kind = r.random()
        if kind < 0.5:
            source = self.print_(r.randint(1, 4))
        else:
            source = "".join(self.statement(r.randint(1, 3)) for _ in range(r.randint(1, 4)))
        if r.random() < 0.06:
            source = self.broken(source)
        return source


def case(seed):
    generator = Generator(seed)
    context = generator.context()
    return generator.template(), context
