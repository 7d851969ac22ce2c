// Formats: how records become rows and rows become records.
export { debezium } from "./debezium/debezium.ts";
export { json, type JsonOptions } from "./json/json.ts";
export { raw, type RawRow } from "./raw/raw.ts";
export { text, type TextRow } from "./raw/text.ts";
