// Leader election by a Lease: one replica acts, and one that cannot renew stops before another may take over.
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster, ObjectKey } from "../ports/cluster.ts";
import { typeOf } from "../ports/kind-table.ts";
import { type Machine, messageOf, sleep } from "../ports/machine.ts";
import type { Lease } from "../ports/objects.ts";

export interface LeaseTimes {
  /** After so long without a renewal others may take the lease, ms. */
  readonly durationMs: number;
  /** A leader that has not renewed for so long stops, ms. The difference to `durationMs` is the time that its last requests may take. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

export const defaultLeaseTimes: LeaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export class LeaderElection {
  readonly #cluster: Cluster;
  readonly #machine: Machine;
  readonly #key: ObjectKey;
  readonly #identity: string;
  readonly #times: LeaseTimes;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #leading = false;
  /** What was last seen of another's lease, and when by our own clock: clocks of two machines are not compared. */
  #seen: { readonly version: string; readonly atMs: number } | undefined;

  constructor(parts: {
    readonly cluster: Cluster;
    readonly machine: Machine;
    readonly key: ObjectKey;
    readonly identity: string;
    readonly times?: LeaseTimes;
  }) {
    this.#cluster = parts.cluster;
    this.#machine = parts.machine;
    this.#key = parts.key;
    this.#identity = parts.identity;
    this.#times = parts.times ?? defaultLeaseTimes;
  }

  /** True while this replica may act. By the clock alone: no answer of a server can make it true again once the deadline has passed. */
  get leading(): boolean {
    return this.#leading && this.#machine.clock.now() < this.#renewedMs + this.#times.renewDeadlineMs;
  }

  /** Resolves when the lease is ours; false when `signal` aborted first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.#attempt()) {
        this.#leading = true;
        this.#machine.log.info("leading", { identity: this.#identity });
        return true;
      }
      await sleep(this.#machine.clock, this.#times.retryMs * (1 + this.#machine.random() * 0.2), signal);
    }
    return false;
  }

  /** Renews until the lease is lost (resolves) or `signal` aborts (gives the lease back, and resolves). */
  async hold(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#machine.clock, this.#times.retryMs, signal);
      if (signal.aborted) break;
      const renewed = await Promise.race([this.#attempt(), this.#deadline(signal)]);
      if (renewed === "lost" || !this.leading) {
        this.#leading = false;
        this.#machine.log.error("lost the lease", { identity: this.#identity });
        return;
      }
    }
    await this.#release();
  }

  async #deadline(signal: AbortSignal): Promise<false> {
    const { clock } = this.#machine;
    await sleep(clock, Math.max(0, this.#renewedMs + this.#times.renewDeadlineMs - clock.now()), signal);
    return false;
  }

  // True: ours. "lost": somebody else has it.
  async #attempt(): Promise<boolean | "lost"> {
    const { clock, log } = this.#machine;
    const startedMs = clock.now();
    try {
      const lease = await this.#cluster.get("Lease", this.#key);
      if (lease === undefined) {
        await this.#cluster.create(this.#lease(undefined, startedMs));
      } else {
        const holder = lease.spec?.holderIdentity ?? "";
        if (holder !== this.#identity && holder !== "" && !this.#expired(lease)) return this.#leading ? "lost" : false;
        await this.#cluster.replace(this.#lease(lease, startedMs));
      }
      // A renewal that took longer than the deadline comes too late: others may have counted us out already.
      if (this.#leading && !this.leading) return "lost";
      this.#renewedMs = startedMs;
      return true;
    } catch (error) {
      if (!isClusterError(error, "conflict", "exists")) log.warn("the lease could not be renewed", { reason: messageOf(error) });
      return false;
    }
  }

  #expired(lease: Lease): boolean {
    const version = lease.metadata.resourceVersion ?? "";
    const nowMs = this.#machine.clock.now();
    if (this.#seen?.version !== version) this.#seen = { version, atMs: nowMs };
    const durationMs = Math.max(this.#times.durationMs, (lease.spec?.leaseDurationSeconds ?? 0) * 1000);
    return nowMs - this.#seen.atMs > durationMs;
  }

  #lease(before: Lease | undefined, nowMs: number): Lease {
    const now = microTime(nowMs);
    const same = before?.spec?.holderIdentity === this.#identity;
    return {
      ...typeOf("Lease"),
      metadata: before?.metadata ?? { name: this.#key.name, namespace: this.#key.namespace },
      spec: {
        holderIdentity: this.#identity,
        leaseDurationSeconds: Math.ceil(this.#times.durationMs / 1000),
        acquireTime: same ? (before.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (same || before === undefined ? 0 : 1),
      },
    };
  }

  // So that the next leader need not wait until the lease has run out.
  async #release(): Promise<void> {
    if (!this.leading) return;
    this.#leading = false;
    try {
      const lease = await this.#cluster.get("Lease", this.#key);
      if (lease === undefined || lease.spec?.holderIdentity !== this.#identity) return;
      await this.#cluster.replace({ ...lease, spec: { ...lease.spec, holderIdentity: "" } });
    } catch (error) {
      this.#machine.log.warn("the lease could not be given back", { reason: messageOf(error) });
    }
  }
}

const microTime = (atMs: number): string => new Date(atMs).toISOString().replace("Z", "000Z");
