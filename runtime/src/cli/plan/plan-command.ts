// `millrace plan`: prints a job's dataflow as JSON or as a Mermaid flowchart.
import { Command } from "commander";
import { planMermaid, planOf } from "../../plan/plan.ts";
import { collectParameter } from "../parameters.ts";

interface PlanFlags {
  readonly mermaid?: boolean;
  readonly param?: Readonly<Record<string, string>>;
}

export function planCommand(): Command {
  return new Command("plan")
    .description("print a job's dataflow")
    .argument("<job>", "a module whose default export is a job, or a StreamJob manifest (.yaml)")
    .option("--mermaid", "as a Mermaid flowchart instead of JSON")
    .option("-p, --param <name=value>", "a parameter of the job; may be repeated", collectParameter)
    .action(async (path: string, flags: PlanFlags) => {
      const { loadJob } = await import("../run/load-job.ts");
      const { configOfManifest, configOfModule } = await import("../run/run-config.ts");
      const { loadManifest } = await import("../manifest/load-manifest.ts");
      const given = flags.param === undefined ? {} : { param: flags.param };
      const config = /\.ya?ml$/.test(path) ? configOfManifest(await loadManifest(path), path, given) : configOfModule(path, given);
      const plan = planOf(await loadJob(config.module, config.parameters));
      process.stdout.write(flags.mermaid === true ? planMermaid(plan) : `${JSON.stringify(plan, undefined, 2)}\n`);
    });
}
