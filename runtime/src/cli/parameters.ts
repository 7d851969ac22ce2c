// The `--param name=value` option of several commands.
import { InvalidArgumentError } from "commander";

/** Adds one `name=value` to those before it. */
export function collectParameter(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("write it as name=value");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
