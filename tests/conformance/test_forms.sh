#!/bin/sh
# Fields, whole forms and the two phases against recorded answers of Django: all of them, but for what docs/forms.md decides otherwise.
cd "$(dirname "$0")" || exit 1
data=../data/conformance
out=$($data/grade.py "${FLOW_ASAN:?}/bin/flow-conform" $data/forms_fields.jsonl $data/forms_serialize.jsonl $data/forms_twophase.jsonl --verbose 2>&1)
echo "$out" | grep -v ' 0 failed$'
# Integers have 64 bits.
failed=$(echo "$out" | grep '^FAIL' | grep -v '^FAIL field.IntegerField-032 \[quirk\]')
passed=$(echo "$out" | sed -n 's/^total  \([0-9]*\)\/\([0-9]*\),.*/\1 \2/p')
[ -z "$failed" ] && [ "$passed" = "527 528" ]
