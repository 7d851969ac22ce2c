// Reads a number out of a JSON record without a parser: what the benchmarks' checks use, so that they share nothing with the engine's decoders.

/** The digits behind `key`, which is `"name":`; the record has no spaces. */
export function numberField(bytes: Buffer, start: number, end: number, key: Buffer): number {
  const found = bytes.indexOf(key, start);
  if (found < 0 || found >= end) throw new Error(`no ${key.toString()} in ${bytes.toString("utf8", start, end)}`);
  let at = found + key.length;
  let value = 0;
  for (; at < end && (bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39; at++)
    value = value * 10 + (bytes[at] as number) - 0x30;
  return value;
}
