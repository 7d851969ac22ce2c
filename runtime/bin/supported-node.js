// Whether this Node is as new as package.json asks for. Imports only what every version has: an old one refuses a module that imports
// what it does not have before its first line runs, so whoever calls this loads everything else after it.
import { readFileSync } from "node:fs";

/** Ends the process with a plain message when this Node is too old. */
export function requireSupportedNode() {
  const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  // Of the form `>=22.22`.
  const needed = engines.node.replace(">=", "");
  const version = process.versions.node;
  const [major, minor] = version.split(".").map(Number);
  const [neededMajor, neededMinor] = needed.split(".").map(Number);
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return;
  const code = "NODE_TOO_OLD";
  process.stderr.write(
    `error ${code}\n  Node ${version}: Millrace needs Node ${needed} or newer; install one, or put it first on the PATH\n`,
  );
  process.exit(1);
}
