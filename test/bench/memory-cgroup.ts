// A control group with a memory limit, as a container has one; Linux, with the right to make one.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";

const root = "/sys/fs/cgroup";

export interface LimitedGroup {
  /** The command, to be started within the group. */
  inside(command: readonly string[]): readonly string[];
  /** True when the kernel has ended a process for going above the limit. */
  readonly killed: boolean;
  /** The most that the group has taken, in bytes: without pages of programs and files that others had read before. */
  readonly peakBytes: number;
  remove(): void;
}

/** Throws where groups cannot be made. */
export function limitedGroup(name: string, limitBytes: number): LimitedGroup {
  const isV1 = existsSync(`${root}/memory/memory.limit_in_bytes`);
  const folder = `${root}/${isV1 ? "memory/" : ""}${name}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/${isV1 ? "memory.limit_in_bytes" : "memory.max"}`, String(limitBytes));
  const events = `${folder}/${isV1 ? "memory.oom_control" : "memory.events"}`;
  return {
    inside: (command) => ["bash", "-c", `echo $$ > ${folder}/cgroup.procs && exec "$@"`, "bash", ...command],
    get killed() {
      return Number(/oom_kill (\d+)/.exec(readFileSync(events, "utf8"))?.[1] ?? 0) > 0;
    },
    get peakBytes() {
      return Number(readFileSync(`${folder}/${isV1 ? "memory.max_usage_in_bytes" : "memory.peak"}`, "utf8"));
    },
    remove: () => rmdirSync(folder),
  };
}
