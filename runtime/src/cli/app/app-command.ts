// `millrace app`: what an embedded application consists of, and how to make it begin again.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { clientOptions } from "../../connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../connectors/kafka/client/wire-client.ts";
import { firstCluster } from "../../drivers/embedded/app-plan.ts";
import { describeTopology, topologyMermaid } from "../../drivers/embedded/describe.ts";
import { planReset, resetApp } from "../../drivers/embedded/reset.ts";
import { splitDataflow, type Topology } from "../../drivers/embedded/topology/sub-topologies.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { collectParameter } from "../parameters.ts";
import { loadJob } from "../run/load-job.ts";

interface AppFlags {
  readonly applicationId?: string;
  readonly param?: Readonly<Record<string, string>>;
}

interface ResetFlags extends AppFlags {
  readonly bootstrapServers?: string;
  readonly stateDirectory?: string;
  readonly yes?: boolean;
}

export function appCommand(print: (text: string) => void = (text) => void process.stdout.write(text)): Command {
  const command = new Command("app").description("look into embedded applications, and reset them");
  withApp(command.command("describe <job>"))
    .description("its sub-topologies, topics and state")
    .option("--mermaid", "as a Mermaid flowchart")
    .action(async (path: string, flags: AppFlags & { readonly mermaid?: boolean }) => {
      const { topology } = await open(path, flags);
      print(flags.mermaid === true ? topologyMermaid(topology) : describeTopology(topology));
    });
  withApp(command.command("reset <job>"))
    .description("delete its offsets, its state and its own topics; inputs and outputs stay")
    .option("--bootstrap-servers <servers>", "the cluster; default: as the job's first source")
    .option("--state-directory <folder>", "also delete the copies of its state in this folder")
    .option("--yes", "do it; without it, only say what would be deleted")
    .action((path: string, flags: ResetFlags) => reset(path, flags, print));
  return command;
}

function withApp(command: Command): Command {
  return command
    .option("--application-id <id>", "where it differs from the job's name")
    .option("-p, --param <name=value>", "a parameter of the job; may be repeated", collectParameter);
}

async function open(
  path: string,
  { applicationId, param = {} }: AppFlags,
): Promise<{ readonly topology: Topology; readonly dataflow: Dataflow }> {
  const dataflow = await loadJob(path, param);
  return { dataflow, topology: splitDataflow(dataflow, applicationId ?? dataflow.name) };
}

async function reset(path: string, flags: ResetFlags, print: (text: string) => void): Promise<void> {
  const { topology, dataflow } = await open(path, flags);
  const cluster =
    flags.bootstrapServers === undefined
      ? firstCluster(dataflow, topology.applicationId)
      : clientOptions({ bootstrapServers: flags.bootstrapServers });
  const client = new WireKafkaClient(cluster);
  try {
    const act = flags.yes === true;
    const report = act ? await resetApp(topology, client) : await planReset(topology, client);
    const folders = flags.stateDirectory === undefined ? [] : await foldersOf(flags.stateDirectory, topology.applicationId);
    const verb = act ? "deleted" : "would delete";
    print(`${verb} the offsets of group ${report.groupId} (${report.offsets} partitions)\n`);
    for (const topic of report.topics) print(`${verb} topic ${topic}\n`);
    for (const folder of folders) {
      if (act) await rm(folder, { recursive: true, force: true });
      print(`${verb} folder ${folder}\n`);
    }
    if (!act) print("nothing was changed; add --yes to do it\n");
  } finally {
    await client.close();
  }
}

/** The parts of a state directory that processes of the application had. */
async function foldersOf(directory: string, applicationId: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => name.startsWith(`${applicationId}-`) && /^\d+$/.test(name.slice(applicationId.length + 1)))
    .map((name) => join(directory, name));
}
