// @clickhouse/client against the embedded ClickHouse, a cell of the table at a time. Run by tests/clients/table.py, beside
// its node_modules. Prints one line of JSON a cell.
import { ClickHouseLogLevel, createClient } from "@clickhouse/client";
import { isDeepStrictEqual } from "node:util";

const given = JSON.parse(process.env.SEGMA_CELLS);
const TEXT = "it's \\ ä";
const INSTANT = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$/;

function told(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(told).join(",")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${key}=${told(each)}`).join(",")}}`;
  if (typeof value === "string" && INSTANT.test(value)) return String(Date.parse(`${value.replace(" ", "T")}Z`));
  return String(value);
}

function check(found, wanted) {
  if (!isDeepStrictEqual(found, wanted)) throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`.slice(0, 500));
}

async function fails(call) {
  let found;
  try {
    found = await call();
  } catch {
    return;
  }
  throw new Error(`no error, but ${String(found).slice(0, 100)}`);
}

const rows = async (client, query, more = {}) => (await client.query({ query, format: "JSONCompactEachRow", ...more })).json();

async function added(client, query) {
  let total = 0;
  const found = await client.query({ query, format: "JSONCompactEachRow" });
  for await (const some of found.stream()) for (const row of some) total += Number(row.json()[0]);
  return total;
}

const cells = {
  async connect(client) {
    check((await client.ping({ select: true })).success, true);
    check(await rows(client, "SELECT 1"), [[1]]);
  },
  async metadata(client) {
    check((await rows(client, "DESCRIBE TABLE cell_types")).map(([name]) => name), given.columns);
  },
  async types(client) {
    check((await rows(client, given.select)).map((row) => row.map(told)), given.expected);
  },
  async parameters(client) {
    const query_params = { number: 41, text: TEXT };
    check(await rows(client, "SELECT {number:UInt32} + 1, {text:String}", { query_params }), [["42", TEXT]]);
  },
  async insert(client) {
    const values = Array.from({ length: 1_000 }, (_, x) => ({ x, s: TEXT }));
    await client.insert({ table: "cell_inserts", values, format: "JSONEachRow" });
  },
  async stream(client) {
    check(await added(client, given.stream), given.sum);
  },
  async cancel(client) {
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(), 1_000);
    await fails(() => rows(client, given.endless, { abort_signal: leaving.signal }));
    check(await rows(client, "SELECT 1"), [[1]]);
  },
  async mid_stream(client) {
    await fails(() => added(client, given.broken));
  },
};

for (const user of ["segma", "analyst"]) {
  const client = createClient({
    url: `http://127.0.0.1:${given.port}`,
    username: user,
    password: given.passwords[user],
    database: "segma",
    compression: { request: user === "segma", response: user === "segma" },
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
  });
  for (const [cell, step] of Object.entries(cells)) {
    let said = "";
    try {
      await step(client);
    } catch (error) {
      said = `${error?.name}: ${error?.message}`.slice(0, 500);
    }
    process.stdout.write(`${JSON.stringify({ cell, user, said })}\n`);
  }
  await client.close();
}
