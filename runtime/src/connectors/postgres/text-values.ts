// Values as PostgreSQL reads them from text: the server's own input functions make of it what the column is.
import type { FieldSpec } from "../../core/schema/type-spec.ts";

/** The text of a value; null for one that is absent. */
export function textOf({ type }: FieldSpec, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case "timestamp":
      return instant(value as number | bigint, type.unit);
    case "date":
      return typeof value === "number" ? new Date(value * 86_400_000).toISOString().slice(0, 10) : String(value);
    case "bytes":
      return `\\x${Buffer.from(value as Uint8Array).toString("hex")}`;
    case "list":
    case "struct":
    case "map":
    case "any":
      return JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part));
    default:
      return String(value);
  }
}

const perSecond = { s: 1n, ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n } as const;

// PostgreSQL keeps microseconds; what is finer is cut off.
function instant(value: number | bigint, unit: keyof typeof perSecond): string {
  const units = typeof value === "bigint" ? value : BigInt(Math.floor(value));
  const scale = perSecond[unit];
  const seconds = units >= 0n ? units / scale : (units - scale + 1n) / scale;
  const rest = ((units - seconds * scale) * 1_000_000n) / scale;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(rest).padStart(6, "0")}Z`;
}
