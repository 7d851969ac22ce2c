// Membership in a consumer group: joins, takes part in rebalances, stays alive by heartbeats and leaves. It runs beside the work and never waits for it.
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { WakeFlag } from "../../../base/wake-flag.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { KafkaProblem, kafkaCode, toMillraceError } from "../client/kafka-problem.ts";
import { retryDelayMs, sleep } from "../client/retry.ts";
import type { JoinedMember } from "../wire/group-apis.ts";
import type { GroupMember } from "../wire/offset-apis.ts";

export interface MembershipOptions {
  readonly groupId: string;
  /** Makes the member a static one: it keeps its place while it is away for less than the session timeout. */
  readonly groupInstanceId: string | null;
  /** After this long without a heartbeat the group goes on without the member. */
  readonly sessionTimeoutMs: number;
  /** For how long a rebalance waits for members to join it. */
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly protocolName: string;
}

/** All of them are called between two requests and must be quick: what follows from them happens beside the membership. */
export interface MembershipHooks {
  /** What this member tells the leader; asked before every join. A stable group holds no new round for a follower whose metadata is the same. */
  metadata(): Uint8Array;
  /** The leader's part: everybody's assignment, by member id. */
  assign(members: readonly JoinedMember[]): ReadonlyMap<string, Uint8Array> | Promise<ReadonlyMap<string, Uint8Array>>;
  assigned(assignment: Buffer): void;
  /** The group has gone on without this member: what it was assigned belongs to others now. */
  lost(): void;
  /** It cannot be a member any more. */
  failed(error: unknown): void;
}

export interface MembershipParts {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

const protocolType = "consumer";

export type MembershipState = "created" | "joining" | "stable" | "left" | "failed";
const moves: Readonly<Record<MembershipState, readonly MembershipState[]>> = {
  created: ["joining", "left"],
  joining: ["joining", "stable", "left", "failed"],
  stable: ["joining", "left", "failed"],
  left: [],
  failed: [],
};

export class GroupMembership {
  readonly #options: MembershipOptions;
  readonly #hooks: MembershipHooks;
  readonly #parts: MembershipParts;
  readonly #flag: WakeFlag = new WakeFlag();
  #state: MembershipState = "created";
  #memberId = "";
  #generationId = -1;
  #lastContactMs = 0;
  #rejoin = false;
  /** True while an assignment is in force that `lost` has to take back. */
  #holding = false;
  #running: Promise<void> | undefined;

  constructor(options: MembershipOptions, hooks: MembershipHooks, parts: MembershipParts) {
    this.#options = options;
    this.#hooks = hooks;
    this.#parts = parts;
  }

  get state(): MembershipState {
    return this.#state;
  }

  /** As whom to commit offsets: the member of the last assignment. */
  get member(): GroupMember {
    return { generationId: this.#generationId, memberId: this.#memberId, groupInstanceId: this.#options.groupInstanceId };
  }

  start(): void {
    this.#move("joining");
    this.#running = this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** Asks for another round of the group: this member has given something back, or has news for the leader. */
  rejoin(): void {
    this.#rejoin = true;
    this.#flag.wake();
  }

  /** Stops. A dynamic member leaves the group at once; a static one does with `permanently`, else its place is kept for a session. */
  async leave(permanently: boolean): Promise<void> {
    const wasMember = this.#memberId !== "" && (this.#state === "stable" || this.#state === "joining");
    if (this.#state !== "failed" && this.#state !== "left") this.#move("left");
    this.#flag.wake();
    if (!wasMember || (this.#options.groupInstanceId !== null && !permanently)) return;
    try {
      await this.#parts.client.leaveGroup(this.#options.groupId, this.member);
    } catch (error) {
      // The session's end does the same, later.
      this.#parts.log.debug("the group was not left", { groupId: this.#options.groupId, reason: messageOf(error) });
    }
  }

  /** Settles when nothing is under way any more; after `leave`. A join that waits at the broker ends with the client. */
  async ended(): Promise<void> {
    await this.#running;
  }

  #move(to: MembershipState): void {
    if (!moves[this.#state].includes(to)) throw new Error(`a membership cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }

  get #over(): boolean {
    return this.#state === "left" || this.#state === "failed";
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#over; ) {
      try {
        if (this.#state === "joining") await this.#join();
        else await this.#beat();
        failures = 0;
      } catch (error) {
        if (this.#over) return;
        this.#recover(error);
        if (this.#state === "joining") await sleep(this.#parts.clock, retryDelayMs(failures++, this.#parts.random));
      }
      this.#watch();
    }
  }

  async #join(): Promise<void> {
    const { client, clock, log } = this.#parts;
    const { groupId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolName } = this.#options;
    this.#rejoin = false;
    const metadata = this.#hooks.metadata();
    const request = { groupId, memberId: this.#memberId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolType };
    const joined = await client.joinGroup({ ...request, protocols: [{ name: protocolName, metadata }] });
    this.#memberId = joined.memberId;
    this.#lastContactMs = clock.now();
    if (this.#over) return;
    const leads = joined.leaderId === joined.memberId && joined.members.length > 0;
    const assigned = leads ? await this.#hooks.assign(joined.members) : new Map<string, Uint8Array>();
    const assignments = [...assigned].map(([memberId, assignment]) => ({ memberId, assignment }));
    const member = { generationId: joined.generationId, memberId: joined.memberId, groupInstanceId };
    const assignment = await client.syncGroup({ groupId, member, protocolType, protocolName, assignments });
    this.#lastContactMs = clock.now();
    if (this.#over) return;
    this.#generationId = joined.generationId;
    this.#move("stable");
    this.#holding = true;
    log.info("assignment received", { groupId, generationId: joined.generationId, memberId: joined.memberId, leads });
    this.#hooks.assigned(assignment);
  }

  async #beat(): Promise<void> {
    const { client, clock } = this.#parts;
    const cancel = clock.after(this.#options.heartbeatIntervalMs, () => this.#flag.wake());
    // A timer of the clock does not keep a process alive, but a member of a group is something to stay for.
    const hold = setInterval(() => undefined, 2 ** 30);
    try {
      if (!this.#rejoin) await this.#flag.sleep();
    } finally {
      cancel();
      clearInterval(hold);
    }
    if (this.#over) return;
    if (this.#rejoin) this.#move("joining");
    else {
      await client.heartbeat(this.#options.groupId, this.member);
      this.#lastContactMs = clock.now();
    }
  }

  // What a problem means for the membership. What is not named here may succeed when it is tried again.
  #recover(error: unknown): void {
    if (!(error instanceof KafkaProblem)) throw error;
    const { log } = this.#parts;
    switch (error.kafkaCode) {
      case kafkaCode.rebalanceInProgress:
      case kafkaCode.illegalGeneration:
        this.#move("joining");
        return;
      case kafkaCode.unknownMember:
        log.warn("the group has gone on without this member", { groupId: this.#options.groupId, memberId: this.#memberId });
        this.#memberId = "";
        this.#lose();
        this.#move("joining");
        return;
      default:
        if (error.kind === "fatal" || error.kind === "fenced") throw error;
        log[error.kafkaCode === -1 ? "warn" : "debug"]("the group's coordinator did not answer", {
          groupId: this.#options.groupId,
          reason: error.message,
        });
    }
  }

  // Without an answer for a whole session the group has gone on, whoever can say so.
  #watch(): void {
    if (this.#over || !this.#holding) return;
    if (this.#parts.clock.now() - this.#lastContactMs <= this.#options.sessionTimeoutMs) return;
    this.#parts.log.warn("the group did not answer for a whole session", { groupId: this.#options.groupId });
    this.#lose();
    this.#move("joining");
  }

  #lose(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.#generationId = -1;
    this.#hooks.lost();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#move("failed");
    this.#lose();
    this.#hooks.failed(error instanceof KafkaProblem ? toMillraceError(error, `group ${this.#options.groupId}`) : error);
  }
}
