#!/usr/bin/python3
"""Writes src/template/unicode_table.h: what Python's str knows about each character.

Run with the Python whose Unicode version the templates shall follow (Debian 12: Python 3.11, Unicode 14):
    /usr/bin/python3 tools/tables/unicode_table.py > src/template/unicode_table.h
"""
import sys
import unicodedata

SHIFT = 7


def properties(c):
    s = chr(c)
    surrogate = 0xD800 <= c <= 0xDFFF
    flags = 0
    tests = [s.isalpha(), s.isdecimal(), s.isdigit(), s.isnumeric(), s.isspace(), s.isprintable(), s.islower(),
             s.isupper(), unicodedata.category(s) == "Lt"]
    for bit, yes in enumerate(tests):
        flags |= yes << bit
    # Python keeps Cased and Case_Ignorable to itself; both show through the final sigma rule and title().
    cased = s.islower() or s.isupper() or s.istitle()
    flags |= cased << 9
    if not surrogate:
        behind_cased = ("Α" + s + "Σ").lower().endswith("ς")
        behind_nothing = (s + "Σ").lower().endswith("ς")
        flags |= (behind_cased and not behind_nothing) << 10
    flags |= s.isidentifier() << 11
    flags |= ("a" + s).isidentifier() << 12
    return flags


def mappings(c):
    s = chr(c)
    if 0xD800 <= c <= 0xDFFF:
        return (s, s, s, s)
    lower = s.lower() if s != "Σ" else "σ"
    return (lower, s.upper(), s.title(), s.casefold())


def main():
    special, special_at = [], {}
    records, record_at = [], {}
    index = []
    for c in range(0x110000):
        flags, maps = properties(c), mappings(c)
        decimal = int(chr(c)) if chr(c).isdecimal() else 0
        if all(len(m) == 1 for m in maps[:3]) and maps[3] == maps[0]:
            record = (flags, decimal, 0) + tuple(ord(m) - c for m in maps[:3])
        else:
            if maps not in special_at:
                special_at[maps] = len(special)
                special.append(maps)
            record = (flags, decimal, special_at[maps] + 1, 0, 0, 0)
        if record not in record_at:
            record_at[record] = len(records)
            records.append(record)
        index.append(record_at[record])
    blocks, block_at, top = [], {}, []
    for start in range(0, 0x110000, 1 << SHIFT):
        block = tuple(index[start:start + (1 << SHIFT)])
        if block not in block_at:
            block_at[block] = len(blocks)
            blocks.append(block)
        top.append(block_at[block])
    assert len(blocks) < 256 * 256 and len(records) < 65536

    def rows(numbers, per_row=24):
        for i in range(0, len(numbers), per_row):
            print("    " + ",".join(map(str, numbers[i:i + per_row])) + ",")

    print("/* Made by tools/tables/unicode_table.py from Unicode %s. Do not edit. */" % unicodedata.unidata_version)
    print("/* clang-format off */")
    print("enum { UNI_SHIFT = %d };" % SHIFT)
    print("/* properties, decimal digit, special mapping + 1, distance to lower, upper, title */")
    print("static const struct { uint16_t flags; uint8_t decimal; uint16_t special; int32_t lower, upper, title; } uni_record[] = {")
    for r in records:
        print("    {%d,%d,%d,%d,%d,%d}," % r)
    print("};")
    print("/* lower, upper, title, folded: up to three characters each, 0 where there is none */")
    print("static const uint32_t uni_special[][4][3] = {")
    for maps in special:
        print("    {" + ",".join("{" + ",".join(str(ord(m[i])) if i < len(m) else "0" for i in range(3)) + "}" for m in maps) + "},")
    print("};")
    print("static const uint16_t uni_top[] = {")
    rows(top)
    print("};")
    print("static const uint16_t uni_block[] = {")
    rows([x for b in blocks for x in b])
    print("};")
    print("/* clang-format on */")


main()
