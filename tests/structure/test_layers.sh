#!/bin/sh
# Every #include "room/file.h" in src/ goes where src/LAYERS allows; the table has no cycle (a room names only rooms above it).
cd "$(dirname "$0")/../.." || exit 1
awk -F: '
FILENAME == "src/LAYERS" {
    if ($0 ~ /^[a-z]/) {
        room = $1; gsub(/ /, "", room)
        n = split($2, list, " ")
        for (i = 1; i <= n; i++) {
            if (list[i] !~ /^generated/ && !(list[i] in known)) {
                printf "src/LAYERS: %s names %s, which stands below it: a cycle, or a misspelt room\n", room, list[i]; bad = 1
            }
            allowed[room, list[i]] = 1
        }
        allowed[room, room] = 1; known[room] = 1
    }
    next
}
FNR == 1 { split(FILENAME, path, "/"); room = path[2]
           if (!(room in known)) { printf "%s: room %s is not in src/LAYERS\n", FILENAME, room; bad = 1 } }
match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]+"/) {
    target = $0; sub(/^[^"]*"/, "", target); sub(/".*/, "", target)
    if (target ~ /^(flowengine|google|grpc)\/.*\.pb\.h$/) to = "generated_nanopb"
    else if (target ~ /^(flowengine|google|grpc)\// || target == "descriptors.h") to = "generated"
    else if (split(target, parts, "/") < 2) { printf "%s:%d: include it with its room: \"%s\"\n", FILENAME, FNR, target; bad = 1; next }
    else to = parts[1]
    if (!((room, to) in allowed)) { printf "%s:%d: %s may not include %s (src/LAYERS)\n", FILENAME, FNR, room, to; bad = 1 }
}
END { exit bad }
' src/LAYERS $(find src -name '*.[ch]' | sort)
