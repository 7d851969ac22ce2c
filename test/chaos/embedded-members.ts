// The processes of an embedded application for the chaos programs: each is started, ended or killed, and what it logs is counted.
import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { silentLog } from "../../runtime/src/base/log.ts";
import { controlTopic } from "../../runtime/src/drivers/embedded/control/control-log.ts";
import { splitDataflow } from "../../runtime/src/drivers/embedded/topology/sub-topologies.ts";
import { sweepWorkFolders } from "../../runtime/src/drivers/work-folder.ts";
import type { Job } from "../../runtime/src/dsl/job.ts";
import type { OwnChildren } from "./own-children.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface MemberEntry {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface MemberFigures {
  /** Rounds of the group, as each process saw them. */
  assignments: number;
  tasksOpened: number;
  restoredRecords: number;
  restoredBytes: number;
  failures: number;
}

export const noFigures = (): MemberFigures => ({ assignments: 0, tasksOpened: 0, restoredRecords: 0, restoredBytes: 0, failures: 0 });

export class Member {
  readonly name: string;
  readonly #children: OwnChildren;
  readonly #command: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #figures: MemberFigures;
  readonly #onEntry: (entry: MemberEntry) => void;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> = Promise.resolve(0);
  /** As the process has told it last. */
  state = "";

  /** `prefix` is a command that runs the process, with its arguments. */
  constructor(
    children: OwnChildren,
    name: string,
    env: Readonly<Record<string, string>>,
    figures: MemberFigures,
    onEntry: (entry: MemberEntry) => void = () => {},
    prefix: readonly string[] = [],
  ) {
    this.#children = children;
    this.name = name;
    this.#command = [...prefix, process.execPath, "test/chaos/embedded-member.ts"];
    this.#env = env;
    this.#figures = figures;
    this.#onEntry = onEntry;
  }

  start(): void {
    const [program = "", ...args] = this.#command;
    const env = { ...process.env, ...this.#env };
    const child = this.#children.add(spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"], env }));
    this.#child = child;
    this.state = "";
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#read(line);
    });
    this.#exited = new Promise((resolve) => child.once("exit", resolve));
  }

  #read(line: string): void {
    const entry = JSON.parse(line) as MemberEntry;
    const { level, message } = entry;
    if (message === "state") this.state = String(entry["state"]);
    else if (message === "assignment received") this.#figures.assignments++;
    else if (message === "task runs") {
      this.#figures.tasksOpened++;
      this.#figures.restoredRecords += Number(entry["restoredRecords"]);
      this.#figures.restoredBytes += Number(entry["restoredBytes"]);
    } else if (level === "error") {
      this.#figures.failures++;
      process.stdout.write(`${this.name} ${line}\n`);
    }
    this.#onEntry(entry);
  }

  /** The exit code, once the process has ended by itself. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  /** Sends the signal and waits for the end; returns the exit code, null after a kill. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    this.#child?.kill(signal);
    const code = await this.#exited;
    this.state = "";
    return code;
  }
}

/** Kills those that still run, and removes the temporary folders of all that were killed. */
export async function killAll(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map((member) => member.end("SIGKILL")));
  await sweepWorkFolders(tmpdir(), silentLog);
}

/** Looks again and again until `done` holds. Rejects with what was waited for after `limitMs`. */
export async function until(what: string, limitMs: number, done: () => boolean | Promise<boolean>, everyMs: number = 100): Promise<void> {
  const deadlineMs = Date.now() + limitMs;
  while (!(await done())) {
    if (Date.now() > deadlineMs) throw new Error(`after ${limitMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** The topics that an application of this job keeps for itself. */
export function ownTopics(job: Job, applicationId: string, parameters: Readonly<Record<string, string>>): readonly string[] {
  const { edges, subTopologies } = splitDataflow(job.build(parameters), applicationId);
  const stores = subTopologies.flatMap((each) => each.stores.map(({ topic }) => topic));
  return [controlTopic(applicationId), ...edges.map(({ topic }) => topic), ...stores];
}
