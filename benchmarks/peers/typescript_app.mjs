// The same work done by the TypeScript SDK in its local mode: node typescript_app.mjs PACKAGES memory WORK SIZE.
//
// PACKAGES is the folder whose node_modules holds @resonatehq/sdk. It prints the seconds, the CPU seconds and the peak
// memory that it took.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The package is written for Node 22; this is all that Node 20 lacks.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const [packages, , work, text] = process.argv.slice(2);
const home = join(packages, "node_modules", "@resonatehq", "sdk");
const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
const { Resonate } = await import(pathToFileURL(join(home, manifest.main)));

const PER_WORKFLOW = 5;
const resonate = new Resonate({ logLevel: "error" });
const triangle = (n) => (n * (n - 1)) / 2;

resonate.register("step", async (_ctx, number) => number);
const sequential = resonate.register("sequential", function* (ctx, n) {
  let total = 0;
  for (let i = 0; i < n; i++) total += yield* ctx.run(async (_ctx, number) => number, i);
  return total;
});
const calls = resonate.register("calls", function* (ctx, n) {
  let total = 0;
  for (let i = 0; i < n; i++) total += yield* ctx.rpc("step", i);
  return total;
});

async function run(work, size) {
  if (work === "at-once") {
    const all = [];
    for (let i = 0; i < size / PER_WORKFLOW; i++) all.push(sequential.run(`w${i}`, PER_WORKFLOW));
    for (const total of await Promise.all(all)) if (total !== triangle(PER_WORKFLOW)) throw new Error(`${total}`);
  } else {
    const total = await (work === "calls" ? calls : sequential).run(`w-${size}`, size);
    if (total !== triangle(size)) throw new Error(`${total}`);
  }
}

await run(work === "calls" ? "calls" : "sequential", 20);
const started = performance.now();
const before = process.cpuUsage();
await run(work, Number(text));
const seconds = (performance.now() - started) / 1000;
const used = process.cpuUsage(before);
const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
const peak = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
console.log(seconds, (used.user + used.system) / 1e6, peak * 1024);
process.exit(0);
