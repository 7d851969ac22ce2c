// The Postgres connector: a sink for queries in batches.
export { postgresSink, type PostgresSinkOptions } from "./postgres-sink.ts";
