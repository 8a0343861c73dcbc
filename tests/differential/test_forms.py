#!/usr/bin/python3
"""Forms against Django: thousands of generated fields, values and whole forms, cleaned and shown by both.

FLOW_DIFFERENTIAL_SEED and FLOW_DIFFERENTIAL_COUNT choose other inputs. Where we decided otherwise than Django, the generator
stays away, and docs/forms.md says so.
"""
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import django_oracle as oracle  # noqa: E402

SEED = int(os.environ.get("FLOW_DIFFERENTIAL_SEED", "20240301"))
FIELDS = int(os.environ.get("FLOW_DIFFERENTIAL_COUNT", "12000"))
FORMS = FIELDS // 12

SPACES = ["", "", "", "", "", " ", "  ", "\n", "\t", "\u00a0", "\u3000", "\x1c", "\x00", "\r\n"]
LETTERS = "abcXYZ019_-. @:/éßñ日本😀'\"<>&%{}[]()\\+,;=?#~|^$!*"


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, items):
        return self.r.choice(items)

    def chance(self, share):
        return self.r.random() < share

    def text(self, length=None):
        length = self.r.randrange(0, 12) if length is None else length
        return "".join(self.pick(LETTERS) for _ in range(length))

    def mutate(self, text):
        """The text with a few characters added, taken away or changed."""
        for _ in range(self.pick([0, 0, 0, 1, 1, 2, 3])):
            at = self.r.randrange(0, len(text) + 1)
            how = self.r.randrange(4)
            char = self.pick(LETTERS + "0123456789" * 3)
            if how == 0:
                text = text[:at] + char + text[at:]
            elif how == 1:
                text = text[:at] + text[at + 1:]
            elif how == 2:
                text = text[:at] + char + text[at + 1:]
            else:
                text = text[:at] + text[at:at + 3] + text[at:]
        return self.pick(SPACES) + text + self.pick(SPACES)

    def number_text(self):
        r = self.r
        return self.pick([
            str(r.randrange(-200, 200)), str(r.randrange(-10**18, 10**18)), "%d.%d" % (r.randrange(-99, 99), r.randrange(0, 1000)),
            "%.3f" % r.uniform(-10, 10), ".%d" % r.randrange(100), "%d." % r.randrange(100), "%de%d" % (r.randrange(99), r.randrange(-12, 12)),
            "-0", "+7", "007", "1_000", "1__0", "_1", "0x1f", "1e400", "nan", "-inf", "Infinity", "5.0", "5.00", "5.000 ", "٣", "１２", "1,5",
            "1 000", "--5", "0.000", "-0.0", "00.10", "%d.%s" % (r.randrange(50), "0" * r.randrange(12)), "0." + "0" * r.randrange(9) + "1",
            "9" * r.randrange(1, 25) if self.chance(0.2) else "9"])

    def scalar(self):
        r = self.r
        return self.pick([None, True, False, 0, 1, -1, 2, 42, r.randrange(-1000, 1000), r.randrange(-2**63, 2**63), 0.0, 1.0, 1.5, -0.5, 1e16,
                          1e-7, 0.1, r.uniform(-100, 100), "", " ", "true", "True", "false", "False", "FALSE", "on", "off", "null", "None",
                          "0", "1", self.text()])

    def any_json(self, depth=2):
        if depth == 0 or self.chance(0.6):
            return self.scalar()
        if self.chance(0.5):
            return [self.any_json(depth - 1) for _ in range(self.r.randrange(0, 4))]
        return {self.text(3): self.any_json(depth - 1) for _ in range(self.r.randrange(0, 4))}

    # ---- what is typical of a type ----

    def host(self):
        label = lambda: self.pick(["example", "a", "x-y", "-a", "a-", "a_b", "ex--ample", "xn--bcher-kva", "bücher", "日本", "1", "127", "A1", "a" * 63, "a" * 64, "😀"])
        return self.pick(["localhost", "127.0.0.1", "1.2.3.4", "01.2.3.4", "256.1.1.1", "[::1]", "[::g]", "[1.2.3.4]", "LOCALHOST", ".".join(label() for _ in range(self.r.randrange(1, 5))) +
                          self.pick(["", ".com", ".de", ".c", ".123", ".", "..com", ".co.uk", ".xn--p1ai", ".com.", "。jp", ".museum"])])

    def email(self):
        user = self.pick(["user", "a.b", ".a", "a.", "a..b", '"quoted"', '"a b"', '"a\\"b"', '"', '""', "a+b", "x" * 70, "üser", "u_s%e!r", "a b", "ı", "", "'", "a@b"])
        return user + self.pick(["@", "@", "@", "@", "", "@@"]) + self.host()

    def url(self):
        return (self.pick(["http://", "https://", "HTTP://", "ftp://", "ftps://", "javascript:", "//", "", "", "http:", "http:/", "mailto:", "git+ssh://", "h ttp://", "1http://", "://"]) +
                self.pick(["", "", "", "", "user@", "user:pw@", "u:p:w@", ":@", "u:@", "@", "a/b@"]) + self.host() +
                self.pick(["", "", ":80", ":8", ":99999", ":123456", ":", ":8a"]) +
                self.pick(["", "", "/", "/a/b", "?x=1", "#f", "/ü", "/%zz", "/a b", "?", "#", "/?#", "/a@b", "/x;y=1", "//double", "/\u3000", "/a:b"]))

    def ip(self):
        v4 = ".".join(str(self.pick([0, 1, 10, 127, 255, 256, "01", "", "a", 192])) for _ in range(self.pick([4, 4, 4, 4, 3, 5])))
        groups = [self.pick(["0", "0", "0", "1", "ab", "FFFF", "12345", "", "0db8", "g"]) for _ in range(self.r.randrange(1, 10))]
        return self.pick([v4, ":".join(groups), "::", "::1", "::ffff:" + v4, "::" + v4, "fe80::1%eth0", "fe80::1%", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8",
                          "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "2001:DB8::FF00:42:8329", "::ffff:0:0", ":1", "1:", ":::", "0:0:1:0:0:0:1:0", "1:0:0:2:0:0:0:3"])

    def date(self):
        r = self.r
        y, m, d = r.randrange(1, 10000) if self.chance(0.2) else r.randrange(1950, 2080), r.randrange(0, 14), r.randrange(0, 33)
        month = self.pick(["Jan", "January", "feb", "MARCH", "may", "Sept", "September", "dec", "Mars"])
        return self.pick(["%04d-%02d-%02d" % (y, m, d), "%d-%d-%d" % (y, m, d), "%02d/%02d/%04d" % (m, d, y), "%d/%d/%02d" % (m, d, y % 100),
                          "%s %d %d" % (month, d, y), "%s %d, %d" % (month, d, y), "%d %s %d" % (d, month, y), "%d  %s,  %d" % (d, month, y),
                          "%04d%02d%02d" % (y, m, d), "%02d.%02d.%04d" % (d, m, y), "%d.%d.%d" % (d, m, y), "%d %s %02d" % (d, month, y % 100)])

    def time(self):
        r = self.r
        h, m, s = r.randrange(0, 26), r.randrange(0, 62), r.randrange(0, 63)
        fraction = "".join(str(r.randrange(10)) for _ in range(r.randrange(0, 9)))
        return self.pick(["%02d:%02d" % (h, m), "%02d:%02d:%02d" % (h, m, s), "%d:%d:%d" % (h, m, s), "%02d:%02d:%02d.%s" % (h, m, s, fraction),
                          "%02d:%02d:%02d,%s" % (h, m, s, fraction), "%d:%02d %s" % (h % 14, m, self.pick(["AM", "PM", "am", "p.m."])), "%02d%02d" % (h, m), "%02d" % h])

    def datetime(self):
        zone = self.pick(["", "", "", "Z", "+02:00", "-0530", "+02", "+24:00", "-23:59", "+05:99", "+2", " UTC", "z"])
        return self.date() + self.pick(["T", " ", " ", "  ", "t", ""]) + self.time() + zone

    def duration(self):
        r = self.r
        n = lambda: str(self.pick([0, 1, 2, 5, 23, 24, 59, 60, 61, 99, r.randrange(0, 10**6)]))
        fraction = self.pick(["", "", ".5", ",25", ".123456", ".1234567", ".1234567890123", "."])
        return self.pick([n() + fraction, n() + ":" + n() + fraction, ":".join((n(), n(), n())) + fraction, "-" + n() + ":" + n(),
                          "%s %s:%s:%s%s" % (n(), n(), n(), n(), fraction), "%s days, %s:%s:%s" % (n(), n(), n(), n()), "-%s day, %s" % (n(), n()),
                          "%s days" % n(), "%s day %02d:%02d:%02d%s" % (n(), r.randrange(24), r.randrange(60), r.randrange(60), fraction), "-3 days -04:05:06",
                          "P%sD" % n(), "P%sDT%sH%sM%sS" % (n(), n(), n(), n()), "-PT%s.%sH" % (n(), r.randrange(1000)), "PT%s,5S" % n(), "P", "PT", "+P1D", "P1W", "P1Y",
                          "9" * 12, "999999999 23:59:59.999999", "-999999999 0:0:0", "1000000000 days", "PT1.0000005S", "PT0.0000015S", "P0.5DT0.1H", "1h", "1 month"])

    def uuid(self):
        import uuid as module
        u = str(module.UUID(int=self.r.getrandbits(128)))
        return self.pick([u, u.upper(), u.replace("-", ""), "{%s}" % u, "urn:uuid:" + u, u[:-1], u + "0", u.replace("-", "--"), "uuid:" + u, u[:8], "{}"])

    def json_text(self):
        return self.pick([json.dumps(self.any_json()), json.dumps(self.any_json(), ensure_ascii=False), "[1,]", "{'a': 1}", "{bad}", "01", "1.", "-", "\"a", "[1] x",
                          " [1, 2] ", "null", "{}", "[]", "\"\"", "1e5", "-0", "tru", "\"\\ud83d\\ude00\"", "\"\\x\"", "[\"\t\"]", "{\"a\":1,\"a\":2}"])

    CHOICES = [
        [["us", "United States"], ["ca", "Canada"], ["de", "Germany"]],
        [[1, "One"], [2, "Two"], [10, "Ten"]],
        [["", "---------"], ["Europe", [["de", "Germany"], ["fr", "France"]]], ["America", [["us", "United States"]]]],
        [["True", "Yes"], ["False", "No"]],
        [["a<b", "A & B"], ["ü", "Ü"], [" x ", "spaces"]],
        [[1.5, "x"], ["None", "none"], [True, "true"]],
        [],
    ]

    def choice(self):
        return self.pick(["us", "ca", "de", "fr", "US", "Europe", 1, 2, 3, "1", "2", 1.0, "01", "", None, True, False, "True", "true", "None", "a<b", "ü", " x ", "x",
                          1.5, "1.5", [], ["us"], {}, "<script>", 0])

    # ---- fields ----

    def limits(self, low, high, make):
        options = {}
        if self.chance(0.4):
            options["min_value"] = make(self.r.randrange(low, high))
        if self.chance(0.4):
            options["max_value"] = make(self.r.randrange(low, high))
        return options

    def lengths(self):
        options = {}
        if self.chance(0.3):
            options["min_length"] = self.r.randrange(1, 12)
        if self.chance(0.3):
            options["max_length"] = self.r.randrange(1, 25)
        return options

    def field(self):
        """-> ({"type", options}, value or None for missing, missing?)"""
        r = self.r
        t = self.pick(["CharField", "IntegerField", "FloatField", "DecimalField", "BooleanField", "NullBooleanField", "ChoiceField", "TypedChoiceField",
                       "MultipleChoiceField", "TypedMultipleChoiceField", "EmailField", "URLField", "RegexField", "SlugField", "UUIDField",
                       "GenericIPAddressField", "JSONField", "DateField", "DateTimeField", "TimeField", "DurationField",
                       "URLField", "EmailField", "DurationField", "GenericIPAddressField", "DecimalField", "DateTimeField"])
        o = {}
        if self.chance(0.4):
            o["required"] = False
        typical = None
        if t == "CharField":
            o.update(self.lengths())
            if self.chance(0.2):
                o["strip"] = False
            if self.chance(0.1):
                o["empty_value"] = None
            typical = lambda: self.mutate(self.text())
        elif t == "IntegerField":
            o.update(self.limits(-50, 50, int))
            typical = lambda: self.mutate(self.number_text()) if self.chance(0.5) else self.number_text()
        elif t == "FloatField":
            o.update(self.limits(-50, 50, lambda n: self.pick([n, n / 4])))
            typical = lambda: self.mutate(self.number_text()) if self.chance(0.4) else self.number_text()
        elif t == "DecimalField":
            o.update(self.limits(-500, 500, lambda n: self.pick([str(n), "%.2f" % (n / 10)])))
            if self.chance(0.5):
                o["max_digits"] = r.randrange(1, 9)
            if self.chance(0.5):
                o["decimal_places"] = r.randrange(0, o.get("max_digits", 6) + 1)
            typical = lambda: self.mutate(self.number_text()) if self.chance(0.3) else self.number_text()
        elif t in ("ChoiceField", "TypedChoiceField", "MultipleChoiceField", "TypedMultipleChoiceField"):
            o["choices"] = self.pick(self.CHOICES)
            if t.startswith("Typed"):
                o["coerce"] = self.pick(["int", "float", "str"])
                if self.chance(0.2):
                    o["empty_value"] = None
            typical = self.choice if "Multiple" not in t else lambda: [self.choice() for _ in range(r.randrange(0, 4))]
        elif t == "EmailField":
            o.update({k: v for k, v in self.lengths().items() if self.chance(0.5)})
            typical = lambda: self.mutate(self.email()) if self.chance(0.4) else self.email()
        elif t == "URLField":
            o.update({k: v for k, v in self.lengths().items() if self.chance(0.5)})
            typical = lambda: self.mutate(self.url()) if self.chance(0.4) else self.url()
        elif t == "RegexField":
            o["regex"] = self.pick([r"^[A-Z]{2}\d{3}$", r"^\w+$", r"\d", r"^x|y$", r"^[^\]]+\Z", r"^(?P<a>\w)(?P=a)", r"(?i)^abc", r"^\s*\S+\s*\Z", r"^[\w.-]+\Z", r"a{2,3}b?"])
            o.update(self.lengths())
            if self.chance(0.3):
                o["strip"] = True
            typical = lambda: self.mutate(self.pick(["AB123", "abc", "x", "aab", "été", "XY999\n", "a b", "ABC", "12", "_-"]))
        elif t == "SlugField":
            o.update(self.lengths())
            if self.chance(0.4):
                o["allow_unicode"] = True
            typical = lambda: self.mutate(self.pick(["my-slug_1", "My", "été-1", "a b", "日本", "x!", "-", "_"]))
        elif t == "UUIDField":
            typical = lambda: self.mutate(self.uuid()) if self.chance(0.3) else self.uuid()
        elif t == "GenericIPAddressField":
            if self.chance(0.4):
                o["protocol"] = self.pick(["ipv4", "ipv6", "both"])
            if o.get("protocol", "both") == "both" and self.chance(0.3):
                o["unpack_ipv4"] = True
            typical = lambda: self.mutate(self.ip()) if self.chance(0.3) else self.ip()
        elif t == "JSONField":
            typical = lambda: self.json_text() if self.chance(0.8) else self.any_json()
        elif t in ("DateField", "DateTimeField", "TimeField"):
            formats = {"DateField": ["%d.%m.%Y", "%Y%m%d", "%d %B %y", "%a %d %b %Y"], "DateTimeField": ["%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S%z", "%m/%d/%y %I:%M %p"],
                       "TimeField": ["%I:%M %p", "%H%M", "%H:%M:%S.%f", "%I.%M%p", "%H"]}[t]
            if self.chance(0.3):
                o["input_formats"] = r.sample(formats, r.randrange(1, 3))
            make = {"DateField": self.date, "DateTimeField": self.datetime, "TimeField": self.time}[t]
            typical = lambda: self.mutate(make()) if self.chance(0.3) else make()
        elif t == "DurationField":
            typical = lambda: self.mutate(self.duration()) if self.chance(0.2) else self.duration()
        else:
            typical = self.scalar
        if self.chance(0.08):
            code, text = self.pick([("required", "Please."), ("invalid", "No."), ("max_length", "At most %(limit_value)s, not %(show_value)d."),
                                    ("min_value", "%(value)s is below %(limit_value)s, 100%%"), ("invalid_choice", "Not %(value)s!"), ("max_digits", "%(max)s digits")])
            o["error_messages"] = {code: text}
        value = self.scalar() if self.chance(0.1) else self.any_json() if self.chance(0.06) else typical()
        return dict(o, type=t), value, self.chance(0.02)

    # ---- forms ----

    ORDERED = {"DecimalField", "DateField", "DateTimeField", "TimeField", "DurationField", "CharField"}

    def form(self):
        fields, data, initial = [], {}, {}
        count = self.r.randrange(1, 5)
        while len(fields) < count:
            spec, value, missing = self.field()
            # Two fields of one type now and then, for rules that compare them.
            while fields and self.chance(0.3) and spec["type"] != fields[-1]["type"]:
                spec, value, missing = self.field()
            if not usable_in_a_form(spec, value):
                continue
            spec["name"] = self.pick(["a", "user_name", "Field2", "xYZ_", "mail", "n_1"]) + str(len(fields))
            spec.pop("input_formats", None)
            if self.chance(0.2):
                spec["label"] = self.text(5)
            if self.chance(0.2):
                spec["help_text"] = self.text(8)
            if self.chance(0.25) and usable_in_a_form(spec, value):
                spec["initial"] = value
            if self.chance(0.1):
                spec["disabled"] = True
            self.widget(spec)
            fields.append(spec)
            if not missing and self.chance(0.9):
                data[spec["name"]] = value
            if self.chance(0.1):
                initial[spec["name"]] = value
        description = {"fields": fields}
        if count > 1 and self.chance(0.4):
            names = [f["name"] for f in self.r.sample(fields, self.r.randrange(1, count + 1))]
            types = {f["type"] for f in fields if f["name"] in names}
            ordered = types <= {"IntegerField", "FloatField"} or (len(types) == 1 and types <= self.ORDERED)
            rule = {"rule": "ordered" if ordered and self.chance(0.7) else self.pick(["equal", "any_of"]), "fields": names, "message": "Rule!"}
            if self.chance(0.4):
                rule["target"] = self.pick(names)
            description["rules"] = [rule]
        return description, self.chance(0.7), data, initial

    def widget(self, spec):
        if not self.chance(0.3):
            return
        texts = ["TextInput", "Textarea", "PasswordInput", "HiddenInput"]
        if spec["type"] in ("CharField", "EmailField", "SlugField", "RegexField"):
            spec["widget"] = self.pick(texts)
        elif spec["type"] in ("IntegerField", "FloatField", "DecimalField"):
            spec["widget"] = self.pick(["NumberInput", "TextInput", "HiddenInput"])
        elif spec["type"] in ("ChoiceField", "TypedChoiceField"):
            spec["widget"] = self.pick(["RadioSelect", "Select"])
        elif spec["type"] in ("MultipleChoiceField", "TypedMultipleChoiceField"):
            spec["widget"] = "CheckboxSelectMultiple"
        if spec.get("widget") == "PasswordInput" and spec["type"] == "CharField" and self.chance(0.5):
            spec["render_value"] = True
        if self.chance(0.3):
            spec["attrs"] = {self.pick(["rows", "class", "placeholder", "data-x", "maxlength", "step"]): self.pick(["3", "x", ""])}


def usable_in_a_form(spec, value):
    """Django's widgets crash on lists and objects in single fields, and temporal widgets format what is no text."""
    if "Multiple" in spec["type"]:
        return isinstance(value, list)
    if spec["type"] == "JSONField":
        return isinstance(value, str)
    return value is None or isinstance(value, str) or (isinstance(value, (int, float)) and spec["type"] not in ("DateField", "TimeField", "DateTimeField", "GenericIPAddressField"))


def decided_otherwise(spec, value, want, got):
    """Deviations that docs/forms.md names."""
    t = spec["type"]
    big = lambda v: isinstance(v, int) and not isinstance(v, bool) and not -2**63 <= v < 2**63
    if t == "IntegerField" and (big(want.get("cleaned")) or any("9223372036854775" in e for e in got.get("errors", []))):
        return True
    if t in ("TypedChoiceField", "TypedMultipleChoiceField") and big(want.get("cleaned")):
        return True
    if t == "JSONField" and isinstance(value, str):
        try:
            has_odd(json.loads(value))
        except ValueError:
            return False
        except Odd:
            return True
    if t == "UUIDField" and isinstance(value, str) and any(c in value for c in "_+-xX \t\n") and not got.get("ok"):
        return True
    if t in ("DateField", "DateTimeField", "TimeField", "UUIDField", "URLField") and isinstance(value, str) and any(c.isdecimal() and not c.isascii() for c in value):
        return True
    return False


class Odd(Exception):
    pass


def has_odd(value):
    if isinstance(value, float) and value in (float("inf"), float("-inf")) or isinstance(value, float) and value != value:
        raise Odd
    if isinstance(value, int) and not isinstance(value, bool) and not -2**63 <= value < 2**63:
        raise Odd
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        has_odd(inner)


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and isinstance(a, str) == isinstance(b, str)


class Engine:
    def __init__(self):
        root = os.environ.get("FLOW_ASAN") or os.environ.get("FLOW_RELEASE") or "build/asan"
        self.process = subprocess.Popen([os.path.join(root, "bin", "flow-conform")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request):
        self.process.stdin.write((json.dumps(request) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("flow-conform died on %s" % json.dumps(request))
        return json.loads(line)


def report(failures, text):
    failures.append(text)
    if len(failures) <= 20:
        print(text)


def check_fields(engine, generator, failures):
    skipped = 0
    for i in range(FIELDS):
        spec, value, missing = generator.field()
        try:
            field = oracle.make_field(spec)
        except Exception:
            skipped += 1
            continue
        want = oracle.clean(field, None if missing else value)
        request = {"kind": "field", "id": str(i), "field": spec}
        request.update({"missing": True} if missing else {"value": value})
        got = engine.ask(request)
        if got.get("ok") is want["ok"] and same(want.get("cleaned"), got.get("cleaned")) and want.get("errors") == got.get("errors"):
            continue
        if decided_otherwise(spec, value, want, got):
            skipped += 1
            continue
        report(failures, "field %d: %s\n  value %s\n  Django %s\n  ours   %s" % (i, json.dumps(spec, ensure_ascii=False), json.dumps(value), json.dumps(want), json.dumps(got)))
    return FIELDS - skipped


def check_forms(engine, generator, failures):
    compared = 0
    for i in range(FORMS):
        description, bound, data, initial = generator.form()
        try:
            form = oracle.make_form(description, bound, data, initial)
            want = oracle.describe(form, bound)
        except Exception:
            continue
        got = engine.ask({"kind": "form", "id": str(i), "form": description, "bound": bound, "data": data, "initial": initial})
        if "expect" not in got:
            report(failures, "form %d: %s\n  %s" % (i, json.dumps(description), json.dumps(got)))
            continue
        compared += 1
        got = got["expect"]
        by_name = {f["name"]: f for f in description["fields"]}
        odd = any(decided_otherwise(by_name[n], data.get(n), {"cleaned": want.get("cleaned", {}).get(n)}, {"errors": f["errors"]})
                  for n, f in ((f["name"], f) for f in got["fields"]))
        problems = [k for k in ("is_valid", "non_field_errors", "cleaned") if k in want and not same(want[k], got.get(k))]
        for w, g in zip(want["fields"], got["fields"]):
            problems += ["%s.%s: Django %r, ours %r" % (w["name"], k, w[k], g.get(k)) for k in w if k != "attrs" and not same(w[k], g.get(k))]
            text = lambda attrs: {k: v if isinstance(v, bool) else str(v) for k, v in attrs.items()}
            if text(w["attrs"]) != text(g["attrs"]):
                problems.append("%s.attrs: Django %r, ours %r" % (w["name"], w["attrs"], g["attrs"]))
        if problems and not odd:
            report(failures, "form %d: %s\n  bound %s data %s initial %s\n  %s\n  Django %s\n  ours %s" %
                   (i, json.dumps(description), bound, json.dumps(data), json.dumps(initial), "\n  ".join(problems), want.get("cleaned"), got.get("cleaned")))
    return compared


def main():
    engine, generator, failures = Engine(), Generator(SEED), []
    fields = check_fields(engine, generator, failures)
    compared = check_forms(engine, generator, failures)
    print("seed %d: %d fields and %d forms compared with Django, %d differ" % (SEED, fields, compared, len(failures)))
    if fields < FIELDS * 0.8 or compared < FORMS * 0.3:
        sys.exit("too few inputs could be compared")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
