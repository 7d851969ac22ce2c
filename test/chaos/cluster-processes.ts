// The processes of a job under test: JobManagers and TaskManagers as a pod would start them, killed and stopped from outside.
import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { RealS3 } from "../support/real.ts";
import { OwnChildren } from "./own-children.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export type Role = "jobmanager" | "taskmanager";

export interface Member {
  readonly role: Role;
  readonly name: string;
  readonly args: readonly string[];
  child: ChildProcess;
  /** Of a JobManager, once it has said it. */
  rest: string | undefined;
  /** Of a TaskManager, once it has said it. */
  id: string | undefined;
  exited: Promise<number | null>;
}

export interface ClusterOptions {
  readonly job: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly storage: string;
  readonly s3: RealS3 | undefined;
  readonly parallelism: number;
  readonly slots: number;
  readonly checkpointInterval: string;
  readonly taskManagerArgs: readonly string[];
}

export interface JobView {
  readonly state: string;
  readonly waitingFor: string | null;
  readonly restarts: number;
  readonly epoch: number;
  readonly lastCheckpoint: { readonly id: number } | null;
  readonly slots: { readonly present: number };
  readonly regions: readonly { readonly slices: readonly { readonly taskManagerId: string }[] }[];
  readonly processing: {
    readonly state: { readonly memoryBytes: number };
    readonly lag: Readonly<Record<string, number | null>>;
    readonly operators: readonly {
      readonly uid: string;
      readonly subtasks: readonly { readonly rowsIn: number; readonly watermarkMs: number | null }[];
    }[];
  } | null;
}

export class ClusterProcesses {
  readonly members: Member[] = [];
  readonly folder: string;
  readonly log: string;
  readonly #options: ClusterOptions;
  readonly #children = new OwnChildren();
  #number = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.folder = mkdtempSync(join(tmpdir(), "millrace-chaos-"));
    this.log = join(this.folder, "log.ndjson");
  }

  start(role: Role): Member {
    const own = role === "jobmanager" ? ["--rpc-port", "0"] : ["--slots", String(this.#options.slots), "--work-dir", this.folder];
    const args = [role, "--port", "0", ...own];
    const name = `${role}-${++this.#number}`;
    const member = { role, name, args, rest: undefined } as unknown as Member;
    this.#spawn(member);
    this.members.push(member);
    return member;
  }

  /** The process again, under its name: a pod that comes back. */
  restart(member: Member): void {
    this.#spawn(member);
  }

  /** The JobManager that leads, or undefined while nobody does. */
  async leader(): Promise<Member | undefined> {
    for (const member of this.members) if (member.role === "jobmanager" && (await this.ask(member, "/v1/job")) !== undefined) return member;
    return undefined;
  }

  /** All that answer as leaders do. */
  async leaders(): Promise<readonly Member[]> {
    const found: Member[] = [];
    for (const member of this.members)
      if (member.role === "jobmanager" && (await this.ask(member, "/v1/job")) !== undefined) found.push(member);
    return found;
  }

  /** Where the lease says that the leader's control plane is. */
  leaderRpc(): { readonly host: string; readonly port: number } | undefined {
    try {
      const { address } = JSON.parse(readFileSync(join(this.folder, "leader", "cluster-chaos", "leader.json"), "utf8")) as {
        address: { rpc: string };
      };
      const [host = "", port = "0"] = address.rpc.split(":");
      return { host, port: Number(port) };
    } catch {
      return undefined;
    }
  }

  /** A TaskManager that runs slices, as soon as the leader tells of one. */
  async busyTaskManager(): Promise<Member> {
    const untilMs = Date.now() + 60_000;
    while (Date.now() < untilMs) {
      const job = await this.job();
      const busy = new Set(job?.regions.flatMap((region) => region.slices.map((slice) => slice.taskManagerId)));
      const found = this.members.find((member) => member.id !== undefined && busy.has(member.id));
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no TaskManager runs anything; see ${this.log}`);
  }

  async job(): Promise<JobView | undefined> {
    for (const member of this.members) {
      if (member.role !== "jobmanager") continue;
      const answer = await this.ask(member, "/v1/job");
      if (answer !== undefined) return answer as JobView;
    }
    return undefined;
  }

  async ask(member: Member, path: string, method = "GET", body?: object): Promise<object | undefined> {
    if (member.rest === undefined) return undefined;
    try {
      const response = await fetch(`${member.rest}${path}`, {
        method,
        signal: AbortSignal.timeout(method === "GET" ? 1500 : 120_000),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return response.ok ? ((await response.json()) as object) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Asks the leader, whoever it is by then, until it answers well. */
  async askLeader(path: string, method: string, body: object | undefined, timeoutMs: number): Promise<object> {
    const untilMs = Date.now() + timeoutMs;
    while (Date.now() < untilMs) {
      for (const member of this.members.filter((one) => one.role === "jobmanager")) {
        const answer = await this.ask(member, path, method, body);
        if (answer !== undefined) return answer;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`nobody answered ${method} ${path} within ${timeoutMs} ms; see ${this.log}`);
  }

  async close(keepLog: boolean): Promise<void> {
    for (const { child } of this.members) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
    }
    await Promise.all(this.members.map((member) => member.exited));
    if (!keepLog) rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(member: Member): void {
    const { job, parameters, storage, s3, parallelism, checkpointInterval, taskManagerArgs } = this.#options;
    const args = [
      "--max-semi-space-size=8",
      join(root, "runtime/bin/millrace.js"),
      ...member.args,
      ...["--module", job],
      ...Object.entries(parameters).flatMap(([name, value]) => ["--param", `${name}=${value}`]),
      ...["--storage", storage, "--parallelism", String(parallelism), "--checkpoint-interval", checkpointInterval],
      ...(s3 === undefined ? [] : ["--s3-endpoint", s3.endpoint]),
      ...["--leadership-dir", pathToFileURL(join(this.folder, "leader")).href, "--run", "1", "--log", "json"],
      ...(member.role === "taskmanager" ? taskManagerArgs : []),
    ];
    const credentials =
      s3 === undefined ? {} : { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region };
    const env = { ...process.env, ...credentials };
    const child = this.#children.add(spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], env }));
    member.child = child;
    member.rest = undefined;
    member.id = undefined;
    const take = (text: string): void => {
      for (const line of text.split("\n").filter((one) => one !== "")) {
        appendFileSync(this.log, `${member.name} ${child.pid} ${line}\n`);
        if (line.includes('"task manager started"')) member.id = (JSON.parse(line) as { taskManagerId: string }).taskManagerId;
        if (line.includes('"job manager started"')) member.rest = String((JSON.parse(line) as { rest: string }).rest);
      }
    };
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const end = text.lastIndexOf("\n") + 1;
      take(rest + text.slice(0, end));
      rest = text.slice(end);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => take(text));
    member.exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  }
}
