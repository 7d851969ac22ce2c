// Which slots there are, and which of them carries which number of the job: spread over TaskManagers, and kept while their slices run.
import type { SlotAddress } from "../slot-protocol.ts";

export interface OfferedSlot {
  /** Its place within the TaskManager. */
  readonly index: number;
  /** Which thread it is: a command for one that has ended must not reach the one that took its place. */
  readonly incarnation: number;
  readonly host: string;
  readonly port: number;
}

export interface PhysicalSlot extends OfferedSlot {
  readonly taskManagerId: string;
  /** Slices of earlier deployments that are not closed yet, as `region#attempt`: nothing new is put here meanwhile. */
  readonly leftovers: Set<string>;
  /** Since when somebody waits for them to close. */
  leftoversSinceMs: number | undefined;
}

interface Member {
  readonly slots: readonly PhysicalSlot[];
  connected: boolean;
}

export class SlotPool {
  readonly #members = new Map<string, Member>();
  /** By number in the job. */
  readonly #numbers = new Map<number, PhysicalSlot>();

  /** A TaskManager has come (back). Its numbers stay as they were. */
  register(taskManagerId: string, offered: readonly OfferedSlot[]): void {
    const before = this.#members.get(taskManagerId);
    const slots = offered.map((slot) => {
      const known = before?.slots.find((one) => one.index === slot.index && one.incarnation === slot.incarnation);
      return known ?? { ...slot, taskManagerId, leftovers: new Set<string>(), leftoversSinceMs: undefined };
    });
    for (const [number, slot] of this.#numbers) {
      if (slot.taskManagerId === taskManagerId && !slots.includes(slot)) this.#numbers.delete(number);
    }
    this.#members.set(taskManagerId, { slots, connected: true });
  }

  /** Its slots are kept for it, and given to nobody meanwhile. */
  disconnect(taskManagerId: string): void {
    const member = this.#members.get(taskManagerId);
    if (member !== undefined) member.connected = false;
  }

  remove(taskManagerId: string): void {
    this.#members.delete(taskManagerId);
    for (const [number, slot] of this.#numbers) if (slot.taskManagerId === taskManagerId) this.#numbers.delete(number);
  }

  /** The slot's thread has ended. */
  drop(taskManagerId: string, index: number): void {
    const member = this.#members.get(taskManagerId);
    const slot = this.slotOf(taskManagerId, index);
    if (member === undefined || slot === undefined) return;
    this.#members.set(taskManagerId, { ...member, slots: member.slots.filter((one) => one !== slot) });
    for (const [number, holder] of this.#numbers) if (holder === slot) this.#numbers.delete(number);
  }

  /** A new thread has taken the place of one that ended. */
  add(taskManagerId: string, offered: OfferedSlot): void {
    this.drop(taskManagerId, offered.index);
    const member = this.#members.get(taskManagerId);
    if (member === undefined) return;
    const slots = [...member.slots, { ...offered, taskManagerId, leftovers: new Set<string>(), leftoversSinceMs: undefined }].sort(
      (a, b) => a.index - b.index,
    );
    this.#members.set(taskManagerId, { ...member, slots });
  }

  isConnected(taskManagerId: string): boolean {
    return this.#members.get(taskManagerId)?.connected ?? false;
  }

  slotOf(taskManagerId: string, index: number): PhysicalSlot | undefined {
    return this.#members.get(taskManagerId)?.slots.find((slot) => slot.index === index);
  }

  /** A running slice says that this slot has this number. False when another slot has it already. */
  adopt(number: number, taskManagerId: string, index: number): boolean {
    const slot = this.slotOf(taskManagerId, index);
    const holder = this.#numbers.get(number);
    if (slot === undefined || (holder !== undefined && holder !== slot)) return false;
    this.#numbers.set(number, slot);
    return true;
  }

  /** Gives slots to numbers below `needed` that have none, as far as there are any; the least used TaskManager comes first. */
  fill(needed: number): void {
    for (let number = 0; number < needed; number++) {
      if (this.#numbers.has(number)) continue;
      const slot = this.#mostFree();
      if (slot === undefined) return;
      this.#numbers.set(number, slot);
    }
  }

  /** Numbers of slots that are away go to others as far as there are any: nobody whose region has ended waits for them to come back. */
  replaceAway(numbers: readonly number[]): void {
    for (const number of numbers) {
      const slot = this.#numbers.get(number);
      if (slot === undefined || this.isConnected(slot.taskManagerId)) continue;
      const other = this.#mostFree();
      if (other === undefined) return;
      this.#numbers.set(number, other);
    }
  }

  /** Takes the numbers from `count` on away from slots that no longer run anything. */
  shrink(count: number): void {
    for (const number of [...this.#numbers.keys()]) if (number >= count) this.#numbers.delete(number);
  }

  at(number: number): PhysicalSlot | undefined {
    return this.#numbers.get(number);
  }

  /** True when a slice can be deployed to the number now. */
  isReady(number: number): boolean {
    const slot = this.#numbers.get(number);
    return slot !== undefined && slot.leftovers.size === 0 && this.isConnected(slot.taskManagerId);
  }

  /**
   * Where the slices of a deployment are. Their numbers may stand for other slots by now, or for none: a region that waits gives the number of
   * a slot that is away to another slot, which may then be lost, while the deployment of another region waits for the first one to come back.
   */
  addresses(
    slices: Iterable<{ readonly id: { readonly slot: number }; readonly taskManagerId: string; readonly index: number }>,
  ): readonly SlotAddress[] {
    return [...slices]
      .flatMap(({ id, taskManagerId, index }) => {
        const found = this.slotOf(taskManagerId, index);
        return found === undefined ? [] : [{ slot: id.slot, taskManagerId, host: found.host, port: found.port }];
      })
      .sort((a, b) => a.slot - b.slot);
  }

  /** Slots of connected TaskManagers. */
  get present(): number {
    return [...this.#members.values()].reduce((sum, member) => sum + (member.connected ? member.slots.length : 0), 0);
  }

  taskManagers(): readonly { readonly id: string; readonly connected: boolean; readonly slots: readonly PhysicalSlot[] }[] {
    return [...this.#members].map(([id, { connected, slots }]) => ({ id, connected, slots }));
  }

  #mostFree(): PhysicalSlot | undefined {
    const taken = new Set(this.#numbers.values());
    let best: { readonly slot: PhysicalSlot; readonly used: number } | undefined;
    for (const { slots, connected } of this.#members.values()) {
      const free = slots.find((slot) => !taken.has(slot));
      if (!connected || free === undefined) continue;
      const used = slots.filter((slot) => taken.has(slot)).length;
      if (best === undefined || used < best.used) best = { slot: free, used };
    }
    return best?.slot;
  }
}
