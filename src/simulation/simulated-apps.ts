// A model of services with an app inside, in simulated pods: they join the group, restore, run, share the lag, and end with a savepoint.
import type { PodProcesses, ProcessEnd } from "../memory/kubelet.ts";
import { podView } from "../memory/kubelet.ts";
import type { AppAddress, AppClient, TopicClient } from "../ports/app-client.ts";
import { JobClientError, type SavepointReport } from "../ports/job-client.ts";
import type { Pod } from "../ports/objects.ts";
import type { VirtualTime } from "./virtual-time.ts";

export const appLabel = "millrace.dev/embeddedstreamapp";

const joinMs = 800;
const crashMs = 100;
const savepointMs = 600;

interface Member {
  readonly pod: Pod;
  readonly image: string;
  readonly fromSavepoint: string;
  readonly ended: (end: ProcessEnd) => void;
  running: boolean;
}

/** One app: its members, what waits for them, and how it was ended. */
class SimulatedApp {
  readonly members = new Map<string, Member>();
  readonly savepoints = new Map<string, SavepointReport>();
  /** The savepoint that ended it: who starts again must begin from one. */
  endedWith: string | undefined;
  /** What those leave behind whom it has ended. */
  lastWords = "";
  tasks = 4;
  lag = 0;
}

export class SimulatedApps implements PodProcesses {
  readonly #time: VirtualTime;
  readonly #delays: { readonly requestMs: () => number; readonly terminationMs: () => number };
  readonly #apps = new Map<string, SimulatedApp>();
  readonly violations: string[] = [];
  #changed: (pod: Pod) => void = () => {};

  constructor(time: VirtualTime, delays: { readonly requestMs: () => number; readonly terminationMs: () => number }) {
    this.#time = time;
    this.#delays = delays;
  }

  /** A pod's readiness may have changed. */
  onChange(changed: (pod: Pod) => void): void {
    this.#changed = changed;
  }

  app(namespace: string, name: string): SimulatedApp {
    const key = `${namespace}/${name}`;
    const app = this.#apps.get(key) ?? new SimulatedApp();
    this.#apps.set(key, app);
    return app;
  }

  refused(pod: Pod): string | undefined {
    return podView(pod).image.includes("missing") ? "ImagePullBackOff" : undefined;
  }

  start(pod: Pod, ended: (end: ProcessEnd) => void): void {
    const { image, environment } = podView(pod);
    const app = this.#of(pod);
    const fromSavepoint = environment["MILLRACE_FROM_SAVEPOINT"] ?? "";
    if (image.includes("crash") || (app.endedWith !== undefined && app.endedWith !== fromSavepoint)) {
      const message = image.includes("crash") ? "the service threw" : app.lastWords;
      this.#time.after(crashMs, () => ended({ exitCode: 1, message }));
      return;
    }
    const member: Member = { pod, image, fromSavepoint, ended, running: false };
    if (
      new Set([...app.members.values()].map((one) => one.fromSavepoint)).size > 0 &&
      [...app.members.values()].some((one) => one.fromSavepoint !== fromSavepoint)
    )
      this.violations.push(`pod ${pod.metadata.name} begins from another savepoint than those that run`);
    app.members.set(pod.metadata.name, member);
    // Whoever begins from the savepoint goes on from there.
    if (app.endedWith === fromSavepoint) app.endedWith = undefined;
    this.#time.after(joinMs, () => {
      if (app.members.get(pod.metadata.name) !== member || image.includes("never")) return;
      member.running = true;
      this.#changed(pod);
    });
  }

  stop(pod: Pod, done: () => void): void {
    this.#time.after(this.#delays.terminationMs(), () => {
      this.#of(pod).members.delete(pod.metadata.name);
      done();
    });
  }

  address(): { readonly ip: string } {
    return { ip: "10.0.0.3" };
  }

  ready(pod: Pod): boolean {
    return this.#of(pod).members.get(pod.metadata.name)?.running === true;
  }

  client(): AppClient {
    return {
      report: async (address) => {
        const { app, member } = await this.#reach(address);
        return {
          state: member.running ? "running" : "restoring",
          ready: member.running,
          totalTasks: app.tasks,
          tasks: 1,
          restoringTasks: member.running ? 0 : 1,
          lag: 0,
        };
      },
      stopWithSavepoint: async (address, id) => {
        const { app } = await this.#reach(address);
        return this.#savepoint(app, id);
      },
    };
  }

  topics(): TopicClient {
    return {
      look: async (_access, group) => {
        await new Promise<void>((resolve) => this.#time.after(this.#delays.requestMs(), resolve));
        const app = [...this.#apps].find(([key]) => key.endsWith(`/${group}`))?.[1];
        return { partitions: app?.tasks ?? 4, mostPartitions: app?.tasks ?? 4, lag: app?.lag ?? 0 };
      },
    };
  }

  #savepoint(app: SimulatedApp, id: string): SavepointReport {
    const known = app.savepoints.get(id);
    if (known !== undefined) return known;
    const begun: SavepointReport = {
      ...{ id, mode: "stop", phase: "running", location: undefined, sizeBytes: undefined, formatVersion: undefined },
      ...{ cutAtMs: undefined, completedAtMs: undefined, failure: undefined },
    };
    app.savepoints.set(id, begun);
    this.#time.after(savepointMs, () => {
      const location = `s3://apps/savepoints/${id}`;
      app.savepoints.set(id, { ...begun, phase: "completed", location });
      app.endedWith = location;
      app.lastWords = JSON.stringify({ stopped: { id, location } });
      // Nobody waits until somebody has asked.
      for (const { ended } of app.members.values()) ended({ exitCode: 0, message: app.lastWords });
      app.members.clear();
    });
    return begun;
  }

  async #reach(address: AppAddress): Promise<{ readonly app: SimulatedApp; readonly member: Member }> {
    await new Promise<void>((resolve) => this.#time.after(this.#delays.requestMs(), resolve));
    const app = this.#apps.get(address.app);
    const member = app?.members.get(address.pod);
    if (app === undefined || member === undefined) throw new JobClientError("unreachable", address.pod, "connection refused");
    return { app, member };
  }

  #of(pod: Pod): SimulatedApp {
    return this.app(pod.metadata.namespace ?? "", pod.metadata.labels?.[appLabel] ?? "");
  }
}
