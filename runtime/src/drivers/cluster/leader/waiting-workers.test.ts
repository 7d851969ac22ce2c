// TaskManagers of a run that stands by: held until the leader knows what to start from, then registered with all they have said.
import { expect, test } from "vitest";
import type { WorkerMessage } from "../rpc/messages.ts";
import type { Hello, WorkerConnection, WorkerListener } from "../rpc/rpc-server.ts";
import { WaitingWorkers } from "./waiting-workers.ts";

const hello = (taskManagerId: string): Hello => ({ taskManagerId }) as Hello;
const goodbye = (reason: string): WorkerMessage => ({ kind: "goodbye", reason });

function connection(): WorkerConnection & { readonly closings: number } {
  const made = { closings: 0, close: () => void made.closings++ };
  return made as unknown as WorkerConnection & { readonly closings: number };
}

/** A session that takes everybody but those named. */
function session(...refused: readonly string[]) {
  const heard: string[] = [];
  const accept = ({ taskManagerId }: Hello): WorkerListener | object => {
    if (refused.includes(taskManagerId)) return { code: "FENCED", message: "a later leader has taken over" };
    heard.push(`${taskManagerId} registered`);
    return {
      message: (message: WorkerMessage) => heard.push(`${taskManagerId} ${message.kind}`),
      closed: (reason: string) => heard.push(`${taskManagerId} closed: ${reason}`),
    };
  };
  return { heard, accept };
}

test("what was said while waiting is heard after the registration, in order, and the end too", () => {
  const waiting = new WaitingWorkers();
  const listener = waiting.add(hello("a"), connection(), 5);
  listener.message(goodbye("x"));
  const { heard, accept } = session();
  waiting.admit(accept);
  listener.message(goodbye("y"));
  listener.closed("gone", false);
  expect(heard).toEqual(["a registered", "a goodbye", "a goodbye", "a closed: gone"]);
});

test("everybody is admitted once; who left before is not, and who is refused is sent away", () => {
  const waiting = new WaitingWorkers();
  const connections = ["a", "b", "c"].map((id) => ({ id, connection: connection() }));
  const [, second] = connections.map(({ id, connection: its }) => waiting.add(hello(id), its, 5));
  second?.closed("gone", true);
  const { heard, accept } = session("c");
  waiting.admit(accept);
  waiting.admit(accept);
  expect(heard).toEqual(["a registered"]);
  expect(connections.map(({ connection: { closings } }) => closings)).toEqual([0, 0, 1]);
});

test("a leader that loses its lease sends all away", () => {
  const waiting = new WaitingWorkers();
  const held = connection();
  waiting.add(hello("a"), held, 5);
  waiting.dismiss();
  const { heard, accept } = session();
  waiting.admit(accept);
  expect([held.closings, heard]).toEqual([1, []]);
});

test("whoever takes them hears when they introduced themselves: what they said then has grown older", () => {
  const waiting = new WaitingWorkers();
  waiting.add(hello("a"), connection(), 5);
  waiting.add(hello("b"), connection(), 7);
  const said: string[] = [];
  waiting.admit(({ taskManagerId }, _, saidAtMs) => {
    said.push(`${taskManagerId} ${saidAtMs}`);
    return {};
  });
  expect(said).toEqual(["a 5", "b 7"]);
});

test("what waits is bounded", () => {
  const waiting = new WaitingWorkers();
  const held = connection();
  const listener = waiting.add(hello("a"), held, 5);
  for (let i = 0; i < 1001; i++) listener.message(goodbye("x"));
  expect(held.closings).toBe(1);
});
