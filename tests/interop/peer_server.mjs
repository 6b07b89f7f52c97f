// A Resonate server made of the TypeScript SDK: its in-process server (LocalNetwork) behind HTTP and server-sent events.
//
//   node peer_server.mjs PACKAGES [PORT] [--debug]
//
// PACKAGES is the folder whose node_modules holds @resonatehq/sdk. Listens on loopback, on a free port by default, and
// prints one line of JSON when it does: {"url": ..., "package": ...}. Ends when its standard input does. With --debug, time
// is what a request's head says (resonate:debug_time), and what is due happens at a debug.tick only.
//
// Every rule of the protocol is LocalNetwork's. This file adds what a network needs: POST / for requests, GET
// /poll/{group}/{pid} for messages, the routing of `poll:` addresses, a clock that ticks.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const VERSION = "2026-04-01";
const TICK_MS = 200;

// The package is written for Node 22; this is all that Node 20 lacks.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const debug = process.argv.includes("--debug");
const [packages, port = "0"] = process.argv.slice(2).filter((word) => word !== "--debug");
const home = join(packages, "node_modules", "@resonatehq", "sdk");
const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
const { LocalNetwork, isRequest } = await import(pathToFileURL(join(home, manifest.main)));
const machine = new LocalNetwork().server;

// ---------------------------------------------------------------- messages

const connections = []; // {group, pid, stream}, oldest first

function receiver(address) {
  const [, cast, group, pid] = /^poll:\/\/(uni|any)@([^/]+)(?:\/(.+))?$/.exec(address) ?? [];
  const members = connections.filter((connection) => connection.group === group);
  const named = members.find((connection) => connection.pid === pid);
  return cast === "any" ? (named ?? members[Math.floor(Math.random() * members.length)]) : named;
}

// A message for nobody is lost, as on every server: the retry timer sends an execute again, and nothing an unblock.
function deliver() {
  for (const { address, message } of machine.outgoing.splice(0)) {
    receiver(address)?.stream.write(`data: ${JSON.stringify(message)}\n\n`);
  }
}

if (!debug) setInterval(() => {
  const time = Date.now();
  machine.apply(time, { kind: "debug.tick", head: { corrId: "tick", version: VERSION }, data: { time } });
  deliver();
}, TICK_MS);

// ---------------------------------------------------------------- requests

// LocalNetwork counts on members that the protocol calls optional.
function complete({ kind, head, data }) {
  const inner = (action) => complete({ head: { corrId: "inner", version: VERSION }, ...action });
  switch (kind) {
    case "promise.create":
      return { kind, head, data: { param: {}, tags: {}, ...data } };
    case "promise.settle":
      return { kind, head, data: { value: {}, ...data } };
    case "schedule.create":
      return { kind, head, data: { promiseParam: {}, promiseTags: {}, ...data } };
    case "task.create":
    case "task.fence":
    case "task.fulfill":
      return { kind, head, data: { ...data, action: inner(data.action) } };
    case "task.suspend":
      return { kind, head, data: { ...data, actions: data.actions.map(inner) } };
    default:
      return { kind, head, data };
  }
}

// On the wire a task says how many of its awaited promises have settled; LocalNetwork says which.
const counted = (key, value) => (key === "resumes" && Array.isArray(value) ? value.length : value);

function answer(text) {
  let kind = "unknown";
  let corrId = "0";
  const reply = (status, data) => ({ kind, head: { corrId, status, version: VERSION }, data });
  let request;
  try {
    request = JSON.parse(text);
    kind = request.kind;
    corrId = request.head.corrId;
    request = complete(request);
  } catch (error) {
    return reply(400, `Invalid request envelope: ${error.message}`);
  }
  if (kind.startsWith("debug.") && !debug) return reply(403, "Debug operations are disabled");
  if (!isRequest(request)) return reply(400, "Invalid request");
  try {
    const now = debug ? (request.data.time ?? request.head["resonate:debug_time"]) : Date.now();
    const { head, data } = machine.apply(now, request).response;
    return reply(head.status, head.status >= 400 && typeof data !== "string" ? "Refused" : data);
  } catch (error) {
    return reply(500, `Internal error: ${error.message}`);
  }
}

// ---------------------------------------------------------------- HTTP

function poll(group, pid, request, response) {
  const connection = { group, pid, stream: response };
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.flushHeaders();
  connections.push(connection);
  response.on("close", () => connections.splice(connections.indexOf(connection), 1));
}

async function post(request, response) {
  let text = "";
  try {
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
  } catch {
    return; // whoever asked was killed, or canceled what it asked, before all of it was sent
  }
  const reply = answer(text);
  deliver();
  response.writeHead(reply.head.status, { "content-type": "application/json" });
  response.end(JSON.stringify(reply, counted));
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://peer");
  const [, group, pid] = /^\/poll\/([^/]+)\/([^/]+)$/.exec(pathname) ?? [];
  if (request.method === "POST" && pathname === "/") post(request, response);
  else if (request.method === "GET" && pid) poll(decodeURIComponent(group), decodeURIComponent(pid), request, response);
  else response.writeHead(pathname === "/health" || pathname === "/ready" ? 200 : 404).end();
});

server.keepAliveTimeout = 65_000;
server.listen(Number(port), "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ url, package: `${manifest.name} ${manifest.version}` }));
});
process.stdin.on("end", () => process.exit(0)).resume();
