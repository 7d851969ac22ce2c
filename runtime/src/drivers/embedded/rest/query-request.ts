// Reads the body of a query; throws QUERY_INVALID with what is wrong.
import { MillraceError } from "../../../base/errors.ts";
import type { Positions, QueryRequest } from "../queries/app-queries.ts";
import type { StoreQuery } from "../queries/store-query.ts";

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
const isAnything: Check = () => true;
const isKey: Check = (value) => value !== undefined;

/** The members of each kind; those that may be left out end in `?`. */
const kinds: Readonly<Record<StoreQuery["kind"], Readonly<Record<string, Check>>>> = {
  get: { key: isKey, "window?": isNumber },
  windows: { key: isKey, "from?": isNumber, "to?": isNumber },
  range: { "from?": isAnything, "to?": isAnything },
  prefix: { prefix: isText },
  all: {},
};
const common: Readonly<Record<string, Check>> = { kind: isText, "table?": isText, "limit?": isNumber };

export function queryRequest(uid: string, body: unknown): QueryRequest {
  const { query, after, stale, tasks, ...others } = fieldsOf(body);
  const [odd] = Object.keys(others);
  if (odd !== undefined) throw invalid(uid, `the body has the member "${odd}"`);
  if (after !== undefined && !Object.values(fieldsOf(after)).every(isNumber)) throw invalid(uid, "`after` is no object of offsets");
  if (stale !== undefined && typeof stale !== "boolean") throw invalid(uid, "`stale` is neither true nor false");
  if (tasks !== undefined && !(Array.isArray(tasks) && tasks.every(isText))) throw invalid(uid, "`tasks` is no list of ids");
  return {
    uid,
    query: queryOf(uid, fieldsOf(query)),
    ...(after === undefined ? {} : { after: after as Positions }),
    ...(stale === undefined ? {} : { stale }),
    ...(tasks === undefined ? {} : { tasks: tasks as readonly string[] }),
  };
}

function queryOf(uid: string, query: Fields): StoreQuery {
  const members = kinds[query["kind"] as StoreQuery["kind"]] as (typeof kinds)["get"] | undefined;
  if (members === undefined) throw invalid(uid, "`query.kind` is none of get, windows, range, prefix and all");
  const checks = new Map(Object.entries({ ...common, ...members }).map(([name, check]) => [name.replace("?", ""), check]));
  const needed = Object.keys(members).filter((name) => !name.endsWith("?"));
  for (const name of needed) if (query[name] === undefined) throw invalid(uid, `\`query.${name}\` is missing`);
  for (const [name, value] of Object.entries(query))
    if (checks.get(name)?.(value) !== true) throw invalid(uid, `\`query.${name}\` is not what it must be`);
  return query as unknown as StoreQuery;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function invalid(uid: string, problem: string): MillraceError {
  return new MillraceError("QUERY_INVALID", `query of store ${uid}`, problem, "see GET /v1/openapi.json");
}
