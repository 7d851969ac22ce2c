// A TaskManager: runs slots, serves whoever leads, and keeps its slices running while nobody does.
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { type LeaderMessage, protocolVersion, type WorkerMessage } from "../rpc/messages.ts";
import { connectTo, type LeaderConnection, type RpcClientOptions } from "../rpc/rpc-client.ts";
import type { OpenSlot } from "../slot-runner.ts";
import type { SlotEvent } from "../slot-protocol.ts";
import { SearchNews, searchPauseMs } from "./leader-search.ts";
import { Retained } from "./retained.ts";
import { Slots } from "./slots.ts";

export interface TaskManagerParts {
  readonly id: string;
  readonly jobName: string;
  readonly run: number;
  readonly slots: number;
  readonly openSlot: OpenSlot;
  /** Where a leader may be, the likeliest first. */
  readonly findLeaders: () => Promise<readonly string[]>;
  readonly rpc: RpcClientOptions;
  /** Without a leader for this long all slices are ended: nobody would notice a second copy of them. */
  readonly orphanMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

export class TaskManager {
  readonly #parts: TaskManagerParts;
  readonly #slots: Slots;
  readonly #retained = new Retained();
  #connection: LeaderConnection | undefined;
  /** The hello is sent: what follows is in order behind it. */
  #introduced = false;
  #welcomed = false;
  /** Commands of older leaders are refused. */
  #epoch = 0;
  #leaderlessMs: number;
  #hint: string | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;
  /** Ends the present connection. */
  #leave: () => void = () => {};
  #running: Promise<void> | undefined;
  readonly #news = new SearchNews();
  #searchingSinceMs: number;

  constructor(parts: TaskManagerParts) {
    this.#parts = parts;
    this.#leaderlessMs = parts.clock.now();
    this.#searchingSinceMs = parts.clock.now();
    this.#slots = new Slots(parts.slots, parts.openSlot, parts.clock, parts.log, {
      event: (index, event) => this.#event(index, event),
      died: (index, incarnation, reason) => this.#keep({ kind: "slotDied", index, incarnation, reason }),
      back: (slot) => this.#keep({ kind: "slotBack", slot }),
    });
  }

  get isRegistered(): boolean {
    return this.#welcomed;
  }

  /** Starts the slots and looks for a leader until `stop`. Rejects when a slot cannot start. */
  async start(): Promise<void> {
    await this.#slots.start();
    this.#running = this.#serve();
    this.#running.catch((error: unknown) => this.#parts.log.error("TaskManager failed", { reason: messageOf(error) }));
  }

  /** Tells the leader and ends all slices at once. */
  async stop(reason: string): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    this.#connection?.send({ kind: "goodbye", reason });
    this.#leave();
    await this.#running;
    await this.#slots.close();
  }

  async #serve(): Promise<void> {
    while (!this.#stopped) {
      for (const address of await this.#candidates()) {
        if (this.#stopped) return;
        await this.#tryLeader(address);
      }
      await this.#endOrphans();
      const { clock, random } = this.#parts;
      await this.#pause(searchPauseMs(clock.now() - this.#searchingSinceMs, random()));
    }
  }

  async #candidates(): Promise<readonly string[]> {
    const hint = this.#hint;
    this.#hint = undefined;
    try {
      const found = await this.#parts.findLeaders();
      return hint === undefined ? found : [hint, ...found.filter((one) => one !== hint)];
    } catch (error) {
      this.#problem("", `no JobManager is known: ${messageOf(error)}`);
      return hint === undefined ? [] : [hint];
    }
  }

  // Settles when the connection is over.
  async #tryLeader(address: string): Promise<void> {
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#leave = end;
    let connection: LeaderConnection | undefined;
    try {
      connection = await connectTo(address, this.#parts.rpc, {
        message: (message) => this.#receive(message, address),
        closed: (reason) => {
          if (this.#welcomed) this.#parts.log.warn("leader lost, slices go on", { leader: address, reason });
          end();
        },
      });
      this.#connection = connection;
      const slices = await this.#slots.slices();
      const { id, jobName, run } = this.#parts;
      const slots = this.#slots.offered();
      connection.send({ kind: "hello", version: protocolVersion, job: jobName, run, taskManagerId: id, epoch: this.#epoch, slots, slices });
      for (const message of this.#retained.all()) connection.send(message);
      this.#introduced = true;
      if (!this.#stopped && connection.isOpen) await over;
    } catch (error) {
      this.#problem(address, messageOf(error));
    } finally {
      connection?.close();
      if (this.#welcomed) {
        this.#leaderlessMs = this.#parts.clock.now();
        this.#searchingSinceMs = this.#leaderlessMs;
      }
      this.#introduced = false;
      this.#welcomed = false;
      this.#connection = undefined;
    }
  }

  #receive(message: LeaderMessage, address: string): void {
    switch (message.kind) {
      case "welcome":
        if (message.epoch < this.#epoch) {
          this.#problem(address, `${address} leads with epoch ${message.epoch}, which is over: epoch ${this.#epoch} has begun`);
          this.#leave();
          return;
        }
        this.#epoch = message.epoch;
        this.#welcomed = true;
        this.#news.clear();
        this.#parts.log.info("registered", { leader: address, epoch: message.epoch });
        return;
      case "refused":
        this.#hint = message.leader;
        this.#problem(address, `${address}: ${message.message}`);
        this.#leave();
        return;
      case "command":
        if (message.command.epoch < this.#epoch) {
          this.#parts.log.warn("command of an older leader refused", { epoch: message.command.epoch, command: message.command.kind });
          return;
        }
        return this.#slots.command(message.index, message.incarnation, message.command);
      case "resetSlot":
        this.#slots.reset(message.index).catch((error: unknown) => this.#parts.log.error("slot did not end", { reason: messageOf(error) }));
        return;
      case "taken":
        return this.#retained.taken(message.sequence);
      case "profile":
        this.#profile(message.requestId, message.index, message.durationMs);
        return;
    }
  }

  #profile(requestId: number, index: number, durationMs: number): void {
    const connection = this.#connection;
    this.#slots.profile(index, durationMs).then(
      (profile) => connection?.send({ kind: "profile", requestId, profile }),
      (error: unknown) => connection?.send({ kind: "profile", requestId, failure: messageOf(error) }),
    );
  }

  #event(index: number, event: SlotEvent): void {
    if (event.kind !== "report") this.#keep({ kind: "event", index, event });
    else if (this.#welcomed) this.#connection?.send({ kind: "event", index, event });
  }

  #keep(message: Parameters<Retained["add"]>[0]): void {
    const kept: WorkerMessage = this.#retained.add(message);
    if (this.#introduced) this.#connection?.send(kept);
  }

  async #endOrphans(): Promise<void> {
    if (this.#parts.clock.now() - this.#leaderlessMs < this.#parts.orphanMs) return;
    this.#leaderlessMs = this.#parts.clock.now();
    const slices = await this.#slots.slices();
    if (slices.length === 0) return;
    this.#parts.log.error("no leader for too long, slices are ended", { slices: slices.length, orphanMs: this.#parts.orphanMs });
    for (const index of new Set(slices.map((slice) => slice.index))) await this.#slots.reset(index);
  }

  // Says a thing once, not at every attempt.
  #problem(place: string, problem: string): void {
    if (this.#news.isNews(place, problem)) this.#parts.log.info("waiting for a leader", { problem });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
