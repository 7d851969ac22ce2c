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
    .argument("<job>", "a module whose default export is a job or a DataFrame program, or a manifest (.yaml)")
    .option("--mermaid", "as a Mermaid flowchart instead of JSON")
    .option("-p, --param <name=value>", "a parameter of the job; may be repeated", collectParameter)
    .action(async (path: string, flags: PlanFlags) => {
      const { loadExport, loadJob } = await import("../run/load-job.ts");
      const { readConfig } = await import("../run/read-config.ts");
      const { isFrameJob } = await import("../../dataframe/frame-job.ts");
      const given = flags.param === undefined ? {} : { param: flags.param };
      const config = await (/\.ya?ml$/.test(path) ? readConfig(undefined, { ...given, file: path }) : readConfig(path, given));
      const exported = await loadExport(config.module);
      const dataflow = isFrameJob(exported)
        ? (await import("../frames/frame-dataflow.ts")).frameDataflow(exported, config.parameters)
        : loadJob(config.module, config.parameters);
      const plan = planOf(await dataflow);
      process.stdout.write(flags.mermaid === true ? planMermaid(plan) : `${JSON.stringify(plan, undefined, 2)}\n`);
    });
}
