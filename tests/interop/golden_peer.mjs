// What the TypeScript SDK writes: its values on standard output, and each request that it can be brought to make, at URL.
//
//   node golden_peer.mjs PACKAGES URL
//
// Used by capture_golden.py. Stacks are set here, so that what is captured names nobody's folders.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// The package is written for Node 22; this is all that Node 20 lacks.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const [packages, url] = process.argv.slice(2);
const home = join(packages, "node_modules", "@resonatehq", "sdk");
const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
const { Codec, Resonate } = await import(pathToFileURL(join(home, manifest.main)));

// ---------------------------------------------------------------- values

const stacked = (error) => Object.assign(error, { stack: `${error.name}: ${error.message}\n    at charge (shop.mjs:3:9)` });
class OutOfStock extends Error {
  constructor(message) {
    super(message);
    this.name = "OutOfStock";
    this.sku = "b-12";
  }
}

const values = {
  undefined: undefined,
  null: null,
  true: true,
  "a whole number": 42,
  "a negative number": -7,
  "a fraction": 0.1,
  "a large number": 1e21,
  "the largest safe number": 9007199254740991,
  infinity: Infinity,
  "negative infinity": -Infinity,
  "infinity inside": { limits: [-Infinity, 1, Infinity] },
  "not a number": NaN,
  "empty text": "",
  text: 'héllo "you" \\ / \n \u2028 🙂',
  list: [1, "two", null, [3.5]],
  object: { b: 1, a: { deep: [true] } },
  date: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
  map: new Map([["a", 1]]),
  bytes: new Uint8Array([1, 2]),
  error: stacked(new Error("boom")),
  "a type's error": stacked(new TypeError("no such thing")),
  "an error of one's own": stacked(new OutOfStock("b-12 is out of stock")),
  "an error with a cause": stacked(new Error("outer", { cause: new Error("inner") })),
  "a group of errors": stacked(new AggregateError([stacked(new Error("one")), stacked(new RangeError("two"))], "all failed")),
  "an error inside": { failed: stacked(new Error("boom")), at: 3 },
  call: { func: "charge", args: ["42", 1999], version: 1 },
};
const codec = new Codec();
const written = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, codec.encode(value)]));
console.log(JSON.stringify({ package: `${manifest.name} ${manifest.version}`, values: written }));

// ---------------------------------------------------------------- requests

const resonate = new Resonate({ url, group: "default", pid: "ts-1", ttl: 1_000, logLevel: "error" });
resonate.register("charge", async (_ctx, order, cents) => `${order}: ${cents}`);
resonate.register("slow", async () => new Promise((resolve) => setTimeout(resolve, 1_500)));
resonate.register("fail", function* (_ctx) {
  throw stacked(new TypeError("no such thing"));
});
resonate.register("shop", function* (ctx, order) {
  const receipt = yield* ctx.run(async (_ctx, cents) => cents * 2, 21);
  yield* ctx.sleep(30);
  const remote = yield* ctx.rpc("charge", order, receipt);
  yield* ctx.detached("charge", order, 0);
  return { receipt, remote };
});

const later = Date.now() + 3_600_000;
await resonate.run("golden.ts.shop", "shop", "42");
await resonate.run("golden.ts.fail", "fail").catch(() => null);
await resonate.run("golden.ts.slow", "slow");
const { promises, schedules } = resonate;
await promises.create("golden.ts.open", later, { data: codec.encode([1]).data, tags: { "resonate:external": "true", shop: "north" } });
await promises.get("golden.ts.open");
await promises.registerListener("golden.ts.open", "poll://any@default/ts-1");
await promises.resolve("golden.ts.open", { data: codec.encode("done").data });
for (const verb of ["reject", "cancel"]) {
  await promises.create(`golden.ts.${verb}`, later);
  await promises[verb](`golden.ts.${verb}`, { data: codec.encode(stacked(new Error("boom"))).data });
}
await promises.get("golden.ts.nothing").catch(() => null);
await resonate.schedule("golden-ts-daily", "0 9 * * *", "charge", "42", 1999);
await schedules.get("golden-ts-daily");
await schedules.delete("golden-ts-daily");
process.exit(0);
