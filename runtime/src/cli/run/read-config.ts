// The configuration of `millrace run`, from a module or a manifest.
import { MillraceError } from "../../base/errors.ts";
import { loadManifest } from "../manifest/load-manifest.ts";
import type { CommandFlags } from "./run-command.ts";
import { type RunConfig, configOfManifest, configOfModule } from "./run-config.ts";

export async function readRunConfig(module: string | undefined, flags: CommandFlags): Promise<RunConfig> {
  if ((module === undefined) === (flags.file === undefined)) {
    throw new MillraceError("OPTION_INVALID", "millrace run", "needs either a module or -f manifest", "give one of them");
  }
  if (flags.file !== undefined) return configOfManifest(await loadManifest(flags.file), flags.file, flags);
  return configOfModule(module as string, flags);
}
