// A TaskManager against real connections: it finds whoever leads, keeps what nobody has taken, and refuses leaders whose time is over.
import { afterEach, expect, test } from "vitest";
import { ManualClock, systemClock } from "../../../base/clock.ts";
import { type Log, silentLog } from "../../../base/log.ts";
import type { SlotCommand, SlotEvent } from "../slot-protocol.ts";
import type { SlotListener } from "../slot-runner.ts";
import type { WorkerMessage } from "../rpc/messages.ts";
import { type Hello, type RpcServer, startRpcServer, type WorkerConnection } from "../rpc/rpc-server.ts";
import { searchPauseMs } from "./leader-search.ts";
import { TaskManager, type TaskManagerParts } from "./task-manager.ts";

const heartbeats = { intervalMs: 200, timeoutMs: 5000 };
const slice = { region: "r", attempt: 1, slot: 0 };
const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

interface Leader {
  readonly server: RpcServer;
  readonly hellos: Hello[];
  readonly heard: WorkerMessage[];
  connection: WorkerConnection | undefined;
}

async function leader(epoch: number | undefined, token?: string): Promise<Leader> {
  const made = { hellos: [] as Hello[], heard: [] as WorkerMessage[], connection: undefined as WorkerConnection | undefined };
  const server = await startRpcServer({
    ...{ host: "127.0.0.1", port: 0, tls: undefined, heartbeats, clock: systemClock, log: silentLog },
    token: token === undefined ? undefined : () => token,
    accept: (hello, connection) => {
      made.hellos.push(hello);
      if (epoch === undefined) return { code: "NOT_LEADER", message: "does not lead" };
      made.connection = connection;
      connection.send({ kind: "welcome", epoch });
      return { message: (message) => made.heard.push(message), closed: () => {} };
    },
  });
  open.push(server);
  return Object.assign(made, { server });
}

interface Worker {
  readonly manager: TaskManager;
  readonly commands: SlotCommand[];
  listener(): SlotListener;
}

async function worker(leaders: () => readonly Leader[], token?: string, parts: Partial<TaskManagerParts> = {}): Promise<Worker> {
  const commands: SlotCommand[] = [];
  let listener: SlotListener | undefined;
  const manager = new TaskManager({
    ...{ id: "tm", jobName: "job", run: 1, slots: 1, orphanMs: 600_000, clock: systemClock, random: () => 0.5, log: silentLog },
    openSlot: (_index, told) => {
      listener = told;
      return Promise.resolve({
        ...{ host: "127.0.0.1", port: 1 },
        command: (command: SlotCommand) => void commands.push(command),
        status: () => Promise.resolve([]),
        profile: () => Promise.resolve({}),
        close: () => Promise.resolve(),
      });
    },
    findLeaders: () => Promise.resolve(leaders().map(({ server }) => `127.0.0.1:${server.port}`)),
    rpc: { tls: undefined, token, heartbeats, connectTimeoutMs: 5000, clock: systemClock },
    ...parts,
  });
  await manager.start();
  open.push({ close: () => manager.stop("the test is over") });
  return { manager, commands, listener: () => listener as SlotListener };
}

async function until(what: string, test_: () => boolean): Promise<void> {
  const endMs = Date.now() + 60_000;
  while (!test_()) {
    if (Date.now() > endMs) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const ended: SlotEvent = { kind: "ended", slice };
const deployed: SlotEvent = { kind: "deployed", slice, times: { clearingMs: 0, snapshotMs: 0, instancesMs: 0, connectMs: 0 } };
const kinds = ({ heard }: Leader): readonly string[] => heard.flatMap((one) => (one.kind === "event" ? [one.event.kind] : []));

test("a standby's refusal is no end: it goes on to whoever leads", async () => {
  const [standby, leads] = [await leader(undefined), await leader(5)];
  const { manager } = await worker(() => [standby, leads]);
  await until("the registration", () => manager.isRegistered);
  expect(standby.hellos.length).toBeGreaterThan(0);
  expect(leads.hellos[0]).toMatchObject({ taskManagerId: "tm", run: 1, slots: [{ index: 0, incarnation: 1 }] });
});

test("what the old leader has not taken is told to the next one, what it has taken is not", async () => {
  const first = await leader(5);
  let now = first;
  const made = await worker(() => [now]);
  await until("the registration", () => made.manager.isRegistered);
  made.listener().event(deployed);
  await until("the event", () => kinds(first).length === 1);
  const [told] = first.heard;
  first.connection?.send({ kind: "taken", sequence: told?.kind === "event" ? (told.sequence ?? 0) : 0 });
  made.listener().event(ended);
  await until("the second event", () => kinds(first).length === 2);
  now = await leader(6);
  await first.server.close();
  await until("the next leader to hear it", () => kinds(now).includes("ended"));
  expect(kinds(now)).toEqual(["ended"]);
  expect(now.hellos[0]?.epoch).toBe(5);
});

test("a leader whose epoch is over is left, and its commands are refused", async () => {
  const [old, young] = [await leader(5), await leader(6)];
  let list = [young];
  const made = await worker(() => list);
  await until("the registration", () => made.manager.isRegistered);
  young.connection?.send({ kind: "command", index: 0, incarnation: 1, command: { epoch: 5, slice, kind: "start" } });
  young.connection?.send({ kind: "command", index: 0, incarnation: 2, command: { epoch: 6, slice, kind: "start" } });
  young.connection?.send({ kind: "command", index: 0, incarnation: 1, command: { epoch: 6, slice, kind: "cancel" } });
  await until("the command", () => made.commands.length > 0);
  // Of an older leader, and of a thread that is not there any more: refused.
  expect(made.commands.map(({ kind }) => kind)).toEqual(["cancel"]);
  list = [old];
  await young.server.close();
  await until("the old leader to be asked twice", () => old.hellos.length >= 2);
  expect(made.manager.isRegistered).toBe(false);
});

test("a wrong token is no TaskManager", async () => {
  const guarded = await leader(5, "secret");
  const stranger = await worker(() => [guarded], "guess");
  const known = await worker(() => [guarded], "secret");
  await until("the registration", () => known.manager.isRegistered);
  expect(stranger.manager.isRegistered).toBe(false);
  expect(guarded.hellos.length).toBe(1);
});

test("a slot that died is offered again as another incarnation", async () => {
  const leads = await leader(5);
  const made = await worker(() => [leads]);
  await until("the registration", () => made.manager.isRegistered);
  made.listener().died("out of memory");
  await until("the new slot", () => leads.heard.some(({ kind }) => kind === "slotBack"));
  expect(leads.heard).toMatchObject([
    { kind: "slotDied", index: 0, incarnation: 1, reason: "out of memory" },
    { kind: "slotBack", slot: { index: 0, incarnation: 2 } },
  ]);
});

test("without a leader it asks often at first and once a second in the end, and says of each JobManager once what is wrong", async () => {
  const standbys = [await leader(undefined), await leader(undefined)];
  const clock = new ManualClock();
  const lines: string[] = [];
  const log: Log = { ...silentLog, info: (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`), child: () => log };
  let rounds = 0;
  const findLeaders = (): Promise<readonly string[]> => {
    rounds++;
    // Real connections for a start; later rounds find nobody, which needs no time of the machine.
    return Promise.resolve(rounds <= 4 ? standbys.map(({ server }) => `127.0.0.1:${server.port}`) : []);
  };
  await worker(() => [], undefined, { clock, log, findLeaders });
  const passed = async (ms: number): Promise<number> => {
    const before = rounds;
    for (let at = 0; at < ms; at += 25) {
      clock.advance(25);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return rounds - before;
  };
  await until("four rounds of both", () => {
    clock.advance(1);
    return standbys.every(({ hellos }) => hellos.length === 4);
  });
  const refusals = lines.filter((line) => line.includes("does not lead"));
  expect(refusals).toHaveLength(2);
  await passed(60_000);
  // A second apart, give or take a quarter.
  expect(await passed(40_000)).toSatisfy((count: number) => count >= 32 && count <= 54);
});

test("the wait between two looks for a leader is an eighth of the time without one, from 20 ms to a second", () => {
  const at = (leaderlessMs: number, random: number): number => searchPauseMs(leaderlessMs, random);
  expect([at(0, 0), at(0, 0.5), at(2000, 0.5), at(4000, 0.5), at(3_600_000, 0.5), at(3_600_000, 1)]).toEqual([
    15, 20, 250, 500, 1000, 1250,
  ]);
});
