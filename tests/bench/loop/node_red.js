// The same flow in Node-RED: a counter, a switch, an end. Prints: executions, wall ns, CPU ns.
// node node_red.js FOLDER MESSAGES    FOLDER has node_modules/node-red
"use strict";
const fs = require("fs"), os = require("os"), path = require("path");
const folder = path.resolve(process.argv[2]), messages = Number(process.argv[3]);
const RED = require(path.join(folder, "node_modules/node-red"));
const userDir = fs.mkdtempSync(path.join(os.tmpdir(), "bench-node-red-"));

const flow = [
  { id: "tab", type: "tab", label: "bench" },
  { id: "inject", type: "inject", z: "tab", props: [], once: true, onceDelay: 0.1, repeat: "", wires: [["count"]] },
  {
    id: "count", type: "function", z: "tab", outputs: 1, wires: [["if"]],
    func: `const n = ${messages};
      let i = 0;
      global.get("begin")();
      const batch = () => {
        for (let k = 0; k < 64 && i < n; k++) node.send({ payload: { current: ++i, min: 1, max: n, step: 1, direction: "increment", iteration: i } });
        if (i < n) global.get("later")(batch);
      };
      batch();`,
  },
  {
    id: "if", type: "switch", z: "tab", property: "payload.current", propertyType: "msg", checkall: "true", outputs: 1,
    rules: [{ t: "gt", v: "0", vt: "num" }], wires: [["end"]],
  },
  { id: "end", type: "function", z: "tab", outputs: 0, func: `if (msg.payload.current === ${messages}) global.get("end")();`, wires: [] },
];
let wall, cpu;
const settings = {
  userDir, flowFile: "flows.json", httpAdminRoot: false, httpNodeRoot: false, disableEditor: true,
  logging: { console: { level: "off", metrics: false, audit: false } },
  functionGlobalContext: {
    later: setImmediate,
    begin: () => { wall = process.hrtime.bigint(); cpu = process.cpuUsage(); },
    end: () => {
      const took = process.hrtime.bigint() - wall, used = process.cpuUsage(cpu);
      console.log(`${messages * 3} ${took} ${(used.user + used.system) * 1000}`);
      fs.rmSync(userDir, { recursive: true, force: true });
      process.exit(0);
    },
  },
};
// Without a place on the canvas a node would count as configuration.
for (const node of flow) if (node.z) node.x = node.y = 100;
fs.writeFileSync(path.join(userDir, "flows.json"), JSON.stringify(flow));
RED.init(settings);
RED.start();
