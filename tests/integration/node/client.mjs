// node client.mjs ADDRESS: lists, describes and calls flowd with nothing but what the server says about itself.
import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import "protobufjs/ext/descriptor/index.js";

const address = process.argv[2];
const credentials = grpc.credentials.createInsecure();
const options = { longs: Number, enums: String, defaults: true, oneofs: true };

// ---- reflection, by bare bytes: before it has answered, no message is known

const { Reader, Writer } = protobuf;
const raw = (bytes) => Buffer.from(bytes);

function fields(bytes) {
  const found = {};
  for (const reader = Reader.create(bytes); reader.pos < reader.len; ) {
    const tag = reader.uint32();
    if ((tag & 7) === 2) (found[tag >>> 3] ??= []).push(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return found;
}

async function reflect(version, questions) {
  const service = `grpc.reflection.${version}.ServerReflection`;
  const client = new grpc.Client(address, credentials);
  const stream = client.makeBidiStreamRequest(`/${service}/ServerReflectionInfo`, raw, raw);
  const answers = [];
  const done = new Promise((resolve, reject) => {
    stream.on("data", (bytes) => answers.push(fields(bytes)));
    stream.on("end", resolve);
    stream.on("error", reject);
  });
  for (const [number, text] of questions) stream.write(Writer.create().uint32((number << 3) | 2).string(text).finish());
  stream.end();
  await done;
  client.close();
  return answers;
}

async function describe(version) {
  const [listed] = await reflect(version, [[7, "*"]]);
  const names = fields(listed[6][0])[1].map((service) => fields(service)[1][0].toString());
  const answers = await reflect(version, [...names, "google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest"].map((name) => [4, name]));
  const files = new Map();
  for (const answer of answers) for (const file of fields(answer[4][0])[1]) files.set(fields(file)[1][0].toString(), file);
  // Imports first: that is the order of a FileDescriptorSet.
  const set = Writer.create();
  const visit = (name) => {
    const file = files.get(name);
    if (!file) return;
    files.delete(name);
    for (const imported of fields(file)[3] ?? []) visit(imported.toString());
    set.uint32(10).bytes(file);
  };
  for (const name of [...files.keys()]) visit(name);
  return { names, set: Buffer.from(set.finish()) };
}

const call = (client, method, request, deadlineMs) =>
  new Promise((resolve, reject) => {
    const metadata = new grpc.Metadata();
    metadata.set("x-request-id", "node-1");
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    let head;
    client[method](request, metadata, options, (error, answer) => (error ? reject(error) : resolve({ answer, head }))).on("metadata", (m) => (head = m));
  });

async function fails(promise, code) {
  const error = await promise.then(() => assert.fail("no error"), (e) => e);
  assert.equal(error.code, grpc.status[code], error);
  return error;
}

const { names, set } = await describe("v1");
assert.deepEqual(names.sort(), (await describe("v1alpha")).names.sort());
assert.ok(names.length >= 12);
const loaded = grpc.loadPackageDefinition(loadFileDescriptorSetFromBuffer(set, options));
const root = protobuf.Root.fromDescriptor(set);
root.resolveAll();
for (const name of names.filter((n) => n.startsWith("flowengine."))) {
  const service = name.split(".").reduce((at, part) => at[part], loaded);
  assert.ok(Object.keys(service.service).length > 0, name);
}
console.log(`listed and described ${names.length} services`);

const { ProductionService, SystemService, WorkflowService } = loaded.flowengine.v1;
const system = new SystemService(address, credentials);
const workflows = new WorkflowService(address, credentials);
const production = new ProductionService(address, credentials);

const { answer, head } = await call(system, "GetServerInfo", {});
assert.equal(answer.server_info.ready, true);
assert.deepEqual(head.get("x-request-id"), ["node-1"]);
console.log("called");

const error = await fails(call(workflows, "GetWorkflow", { workflow_id: "nothing" }), "NOT_FOUND");
const status = root.lookupType("google.rpc.Status").decode(error.metadata.get("grpc-status-details-bin")[0]);
assert.equal(status.message, error.details);
const info = status.details.find((d) => d.type_url.endsWith("ErrorInfo"));
assert.equal(root.lookupType("google.rpc.ErrorInfo").decode(info.value).reason, "WORKFLOW_NOT_FOUND");
await fails(call(workflows, "GetWorkflow", {}), "INVALID_ARGUMENT");
console.log("got rich errors");

// protobufjs sees maps of a descriptor set as the lists of entries that they are.
const struct = (values) => ({ fields: Object.entries(values).map(([key, text]) => ({ key, value: { string_value: text } })) });
const node = (id, type, form) => ({ id, type, data: { form: struct(form) } });
const workflow = { nodes: [node("1", "timer", { interval: "10", unit: "milliseconds" }), node("2", "end", {})], edges: [{ id: "e", source: "1", target: "2" }] };
const { run } = (await call(production, "StartRun", { workflow })).answer;
await new Promise((resolve, reject) => {
  const stream = production.WatchRun({ run_id: run.id });
  let seen = 0;
  stream.on("data", () => ++seen === 20 && stream.cancel());
  stream.on("error", (e) => (e.code === grpc.status.CANCELLED && seen >= 20 ? resolve() : reject(e)));
  stream.on("end", () => reject(new Error("the stream ended")));
});
console.log("cancelled a stream in the middle");

await new Promise((resolve, reject) => {
  const stream = production.WatchRun({ run_id: run.id }, { deadline: Date.now() + 300 });
  stream.on("data", () => {});
  stream.on("error", (e) => (e.code === grpc.status.DEADLINE_EXCEEDED ? resolve() : reject(e)));
});
await fails(call(system, "GetServerInfo", {}, -1), "DEADLINE_EXCEEDED");
console.log("met deadlines");

while ((await call(system, "GetServerInfo", {})).answer.server_info.counts.watchers !== 0);
await call(production, "StopRun", { run_id: run.id, force: true });
for (const client of [system, workflows, production]) client.close();
console.log("ok");
