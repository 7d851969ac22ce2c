// `millrace savepoint`: lists, inspects, reads, compares and disposes of snapshots, without the code of the job that wrote them.
import { Command, InvalidArgumentError } from "commander";
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";

/** Options that all subcommands take. */
export interface StorageFlags {
  readonly s3Endpoint?: string;
  readonly s3Region?: string;
  readonly json?: boolean;
}

/** Where a command writes; resolves when there is room for more. */
export type Print = (text: string) => Promise<void>;

export function savepointCommand(print: Print = toStdout): Command {
  const command = new Command("savepoint").description("look into savepoints and checkpoints");
  withStorage(command.command("list <url>"))
    .description("the snapshots below a folder or bucket: file:///folder or s3://bucket/prefix")
    .action(async (url: string, flags: StorageFlags) => {
      const { listSnapshots } = await import("./list.ts");
      await listSnapshots(url, storageOptions(flags), flags.json === true, print);
    });
  withStorage(command.command("inspect <snapshot>"))
    .description("what a snapshot holds: operators, tables, sizes, source positions")
    .option("--verify", "read every byte and check it")
    .action(async (url: string, flags: StorageFlags & { readonly verify?: boolean }) => {
      const { inspectSnapshot } = await import("./inspect.ts");
      await inspectSnapshot(url, storageOptions(flags), { json: flags.json === true, verify: flags.verify === true }, print);
    });
  withStorage(command.command("read <snapshot>"))
    .description("the entries of a snapshot's state, one JSON object per line, or as Parquet")
    .option("-u, --uid <uid>", "of this operator only")
    .option("-t, --table <name>", "of this table or list only")
    .option("-f, --format <format>", "ndjson or parquet", format, "ndjson")
    .option("-o, --output <file>", "write to a file; Parquet needs one")
    .option("-n, --limit <count>", "stop after so many entries", wholeNumber)
    .action(async (url: string, flags: StorageFlags & ReadFlags) => {
      const { readSnapshot } = await import("./read.ts");
      await readSnapshot(url, storageOptions(flags), flags, print);
    });
  withStorage(command.command("diff <before> <after>"))
    .description("what differs between two snapshots: entries added, removed and changed, per operator and table")
    .option("-u, --uid <uid>", "of this operator only")
    .option("-e, --examples <count>", "examples per kind of difference", wholeNumber, 3)
    .action(async (before: string, after: string, flags: StorageFlags & { readonly uid?: string; readonly examples: number }) => {
      const { diffSnapshots } = await import("./diff.ts");
      await diffSnapshots(before, after, storageOptions(flags), { ...flags, json: flags.json === true }, print);
    });
  withStorage(command.command("dispose <snapshot>"))
    .description("delete a savepoint for good; refuses while a job needs it")
    .option("--force", "also when a job is marked as starting from it")
    .action(async (url: string, flags: StorageFlags & { readonly force?: boolean }) => {
      const { disposeOf } = await import("./dispose.ts");
      await disposeOf(url, storageOptions(flags), { json: flags.json === true, force: flags.force === true }, print);
    });
  return command;
}

export interface ReadFlags {
  readonly uid?: string;
  readonly table?: string;
  readonly format: "ndjson" | "parquet";
  readonly output?: string;
  readonly limit?: number;
}

function withStorage(command: Command): Command {
  return command
    .option("--s3-endpoint <url>", "a server that speaks S3 (default: AWS_ENDPOINT_URL_S3, or AWS)")
    .option("--s3-region <region>", "the bucket's region (default: AWS_REGION)")
    .option("--json", "print JSON");
}

function storageOptions({ s3Endpoint, s3Region }: StorageFlags): StorageOptions {
  return { s3: { ...(s3Endpoint === undefined ? {} : { endpoint: s3Endpoint }), ...(s3Region === undefined ? {} : { region: s3Region }) } };
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("give a whole number");
  return Number(text);
}

function format(text: string): "ndjson" | "parquet" {
  if (text !== "ndjson" && text !== "parquet") throw new InvalidArgumentError("give ndjson or parquet");
  return text;
}

async function toStdout(text: string): Promise<void> {
  // Whoever reads may stop early, as head does: then there is nothing more to do.
  if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", () => process.exit(0));
  if (process.stdout.write(text)) return;
  await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
}
