// A worker of the TypeScript SDK, which also starts what it is told to.
//
//   node peer_worker.mjs PACKAGES URL GROUP
//
// PACKAGES is the folder whose node_modules holds @resonatehq/sdk. Prints {"package": ...} once it works. Then each line
// of standard input, {"id", "target", "func", "args"}, starts func in the group `target` and is answered by one line,
// {"id", "value"} or {"id", "error": {"name", "message"}}. With "tags" it starts it with these, with "headers" it makes
// a bare promise with these, and answers once that is made. Ends when its standard input does.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// The package is written for Node 22; this is all that Node 20 lacks.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const [packages, url, group] = process.argv.slice(2);
const home = join(packages, "node_modules", "@resonatehq", "sdk");
const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
const { Resonate } = await import(pathToFileURL(join(home, manifest.main)));

const resonate = new Resonate({ url, group, pid: `ts-${process.pid}`, ttl: 5_000, logLevel: "error" });
const described = (error) => ({ name: error?.name ?? "", message: error?.message ?? String(error) });

// The same functions as in peer_worker.py.
const functions = {
  echo: async (_ctx, value) => value,
  add: async (_ctx, a, b) => a + b,
  // A generator function, since the SDK tries others again for as long as they fail.
  fail: function* (_ctx, message) {
    throw new TypeError(message);
  },
  // Calls a function of another group and returns what it returns.
  relay: function* (ctx, target, func, args) {
    return { by: "typescript", got: yield* ctx.rpc(func, ...args, ctx.options({ target })) };
  },
  // Calls a function of another group that fails, and returns how.
  rescue: function* (ctx, target, func, args) {
    try {
      yield* ctx.rpc(func, ...args, ctx.options({ target }));
    } catch (error) {
      return described(error);
    }
    return null;
  },
  // A step, a nap, and calls to another group that run side by side.
  fan: function* (ctx, target, func, count) {
    const start = yield* ctx.run(async () => 1);
    yield* ctx.sleep(50);
    const calls = [];
    for (let i = 0; i < count; i++) calls.push(yield* ctx.beginRpc(func, i, start, ctx.options({ target })));
    const sums = [];
    for (const call of calls) sums.push(yield* call);
    return sums;
  },
  // Steps one after the other, for timing.
  chain: function* (ctx, count) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum = yield* ctx.run(async (_ctx, a) => a + 1, sum);
    return sum;
  },
};
for (const [name, func] of Object.entries(functions)) resonate.register(name, func);

async function start({ id, target, func, args, tags, headers }) {
  try {
    if (headers) {
      const data = Buffer.from(JSON.stringify({ func, args })).toString("base64");
      const own = { "resonate:target": `poll://any@${target}`, "resonate:origin": id, "resonate:branch": id };
      await resonate.promises.create(id, Date.now() + 60_000, { headers, data, tags: own });
      return { id, value: null };
    }
    return { id, value: (await resonate.rpc(id, func, ...args, resonate.options({ target, tags }))) ?? null };
  } catch (error) {
    return { id, error: described(error) };
  }
}

console.log(JSON.stringify({ package: `${manifest.name} ${manifest.version}` }));
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => console.log(JSON.stringify(await start(JSON.parse(line)))));
lines.on("close", () => process.exit(0));
