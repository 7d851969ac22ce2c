// The configuration of `millrace run`, from a module or a manifest.
import { MillraceError } from "../../base/errors.ts";
import { loadJobManifest } from "../manifest/load-manifest.ts";
import { triggerFlag } from "./batch-config.ts";
import type { CommandFlags } from "./run-command.ts";
import { type RunConfig, configOfBatchManifest, configOfManifest, configOfModule, type RunFlags } from "./run-config.ts";

export async function readRunConfig(module: string | undefined, flags: CommandFlags): Promise<RunConfig> {
  if ((module === undefined) === (flags.file === undefined)) {
    throw new MillraceError("OPTION_INVALID", "millrace run", "needs either a module or -f manifest", "give one of them");
  }
  return readConfig(module, flags);
}

/** The same without the check that there is exactly one of them. */
export async function readConfig(module: string | undefined, flags: RunFlags): Promise<RunConfig> {
  const config = await configOf(module, flags);
  return flags.trigger === undefined ? config : { ...config, batches: { ...config.batches, ...triggerFlag(flags.trigger) } };
}

async function configOf(module: string | undefined, flags: RunFlags): Promise<RunConfig> {
  if (flags.file === undefined) return configOfModule(module as string, flags);
  const manifest = await loadJobManifest(flags.file);
  return manifest.kind === "MicroBatchJob"
    ? configOfBatchManifest(manifest, flags.file, flags)
    : configOfManifest(manifest, flags.file, flags);
}
