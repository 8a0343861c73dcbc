"""Interleaved rounds of everything, medians, ratios; a markdown table. table.py BUILD ROUNDS"""
import os
import statistics
import subprocess
import sys

build, rounds = sys.argv[1], int(sys.argv[2])
here = os.path.dirname(os.path.abspath(__file__))
program = os.path.join(build, "bench_loop")
commands = {
    "bare C calls": [program, "bare", "20000000"],
    "engine, nobody watches": [program, "engine", "1000000"],
    "engine, one watcher of everything": [program, "watched", "1000000"],
    "engine, 1 -> 8 -> join": [program, "fanout", "200000"],
}
if os.path.isdir(os.path.join(build, "node-red/node_modules/node-red")):
    commands["Node-RED"] = ["node", os.path.join(here, "node_red.js"), os.path.join(build, "node-red"), "50000"]

rows = {name: [] for name in commands}
for _ in range(rounds):
    for name, command in commands.items():
        words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        executions, wall, cpu = (int(word) for word in words[:3])
        thread = int(words[3]) if len(words) > 3 else cpu
        rows[name].append((executions / wall * 1e9, cpu / executions, thread / executions, words[4:]))


def median(name, column):
    return statistics.median(row[column] for row in rows[name])


base = "engine, nobody watches"
print("counter -> if-condition -> end; medians of %d interleaved rounds, one shard\n" % rounds)
print("| what | node executions/s | CPU ns per execution, process | the loop's thread | against nobody watching |")
print("| --- | ---: | ---: | ---: | ---: |")
for name in commands:
    ratio = statistics.median(row[2] / other[2] for row, other in zip(rows[name], rows[base]))
    print("| %s | %s | %.1f | %.1f | %.3g x |" % (name, format(int(median(name, 0)), ","), median(name, 1), median(name, 2), ratio))
watched = rows["engine, one watcher of everything"]
print("\nThe watcher read %s events in the median round; %s were dropped and counted." % tuple(
    format(int(statistics.median(int(row[3][i]) for row in watched)), ",") for i in (0, 1)))
if "Node-RED" in rows:
    ratio = statistics.median(red[1] / row[1] for red, row in zip(rows["Node-RED"], rows[base]))
    print("Node-RED uses %.0f times the engine's CPU per node execution (goal P3: at least 40)." % ratio)
slower = statistics.median(row[2] / other[2] for row, other in zip(watched, rows[base]))
print("One watcher of everything costs the loop's thread %+.1f %% (goal P4: at most 5 %%)." % ((slower - 1) * 100))
