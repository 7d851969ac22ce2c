// What this machine has: finds programs and runs them, and says what to install where one is missing.
import { execFileSync, spawnSync } from "node:child_process";
import { Problem } from "./problem.mjs";

/** True when the program can be started. */
export function has(command, args = ["--version"]) {
  return spawnSync(command, args, { stdio: "ignore", timeout: 20_000 }).status === 0;
}

/** Runs a program to its end and returns its output; a failure shows the last lines. */
export function run(command, args, { env, next, cwd, uid, gid, timeoutMs = 900_000 } = {}) {
  try {
    return execFileSync(command, args, {
      env: { ...process.env, ...env },
      cwd,
      uid,
      gid,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      maxBuffer: 1 << 28,
    });
  } catch (error) {
    const output = `${error.stdout ?? ""}\n${error.stderr ?? ""}`.trim().split("\n").slice(-12).join("\n");
    throw new Problem(`${command} ${args[0] ?? ""} failed: ${output || error.message}`, next ?? "read the output above");
  }
}

/** Parses `--flag value` and `--flag` by a table of what is known; anything else is refused. */
export function parseOptions(args, known, usage) {
  const options = {};
  for (let i = 0; i < args.length; i++) {
    const name = args[i].startsWith("--") ? args[i].slice(2) : undefined;
    const kind = name === undefined ? undefined : known[name];
    if (kind === undefined) throw new Problem(`unknown argument ${args[i]}`, usage);
    if (kind === "flag") options[name] = true;
    else {
      const value = args[++i];
      if (value === undefined) throw new Problem(`--${name} needs a value`, usage);
      if (kind === "number" && !/^\d+$/.test(value)) throw new Problem(`--${name} must be a whole number, not ${value}`, usage);
      options[name] = kind === "number" ? Number(value) : value;
    }
  }
  if (options.name !== undefined && !/^[a-z0-9][a-z0-9-]{0,30}$/.test(options.name)) {
    throw new Problem(`--name ${options.name} is no good`, "use lower-case letters, digits and hyphens");
  }
  return options;
}
