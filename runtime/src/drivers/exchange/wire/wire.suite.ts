// What every transport keeps: frames arrive whole, once and in order, both ways; a loss is told once; greetings let in only whom they should.
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import type { SlotAddress } from "../../cluster/slot-protocol.ts";
import { encodeCredit } from "../frame/control.ts";
import { exchangeVersion, greet, type Hello, Reception } from "../handshake.ts";
import type { Incoming, Transport, Wire } from "./wire.ts";

/** A network of two slots: one that listens, and one that connects to it. */
export interface TestNetwork {
  readonly transport: Transport;
  readonly address: SlotAddress;
  close(): Promise<void>;
}

const hello: Hello = { version: exchangeVersion, job: "job", planFingerprint: "plan", region: "r", attempt: 3, epoch: 2, from: 0, to: 1 };
const expected = { slice: { region: "r", attempt: 3, slot: 1 }, epoch: 2, planFingerprint: "plan" };

function frameOf(size: number, seed: number): ArrayBuffer {
  const frame = new ArrayBuffer(32 + size);
  const bytes = new Uint8Array(frame);
  for (let i = 32; i < bytes.length; i++) bytes[i] = (i * 31 + seed) & 255;
  const header = new DataView(encodeCredit(seed, 0));
  for (let i = 0; i < 32; i += 4) new DataView(frame).setUint32(i, header.getUint32(i));
  new DataView(frame).setUint32(4, frame.byteLength, true);
  return frame;
}

class Heard {
  readonly frames: ArrayBuffer[] = [];
  readonly losses: string[] = [];
  #waiting: (() => void)[] = [];

  on(wire: Wire): this {
    wire.listen({
      frame: (frame) => {
        this.frames.push(frame);
        this.#wake();
      },
      lost: (reason) => {
        this.losses.push(reason);
        this.#wake();
      },
    });
    return this;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(met: () => boolean): Promise<void> {
    while (!met()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

export function wireSuite(name: string, open: (incoming: Incoming) => Promise<TestNetwork>): void {
  describe(`wires ${name}`, () => {
    const networks: TestNetwork[] = [];
    afterEach(async () => {
      for (const network of networks.splice(0)) await network.close();
    });

    async function pair(): Promise<readonly [Wire, Wire]> {
      const arrived = Promise.withResolvers<Wire>();
      const network = await open((wire) => arrived.resolve(wire));
      networks.push(network);
      return [await network.transport.dial(network.address), await arrived.promise];
    }

    async function reception(clockMs = 10_000): Promise<{ readonly network: TestNetwork; readonly reception: Reception }> {
      const made = new Reception("job", systemClock, clockMs);
      const network = await open((wire) => made.incoming(wire));
      networks.push(network);
      return { network, reception: made };
    }

    test("frames of all sizes arrive whole and in order, both ways at once", async () => {
      const [near, far] = await pair();
      const [nearHeard, farHeard] = [new Heard().on(near), new Heard().on(far)];
      const sizes = Array.from({ length: 300 }, (_, index) => (index % 50 === 0 ? 300_000 + index : (index * 977) % 5000));
      for (const [index, size] of sizes.entries()) {
        near.send(frameOf(size, index));
        far.send(frameOf(size % 100, index + 1));
      }
      await farHeard.until(() => farHeard.frames.length === sizes.length);
      await nearHeard.until(() => nearHeard.frames.length === sizes.length);
      for (const [index, size] of sizes.entries()) {
        expect(Buffer.from(farHeard.frames[index] as ArrayBuffer).equals(Buffer.from(frameOf(size, index)))).toBe(true);
        expect(Buffer.from(nearHeard.frames[index] as ArrayBuffer).equals(Buffer.from(frameOf(size % 100, index + 1)))).toBe(true);
      }
    });

    test("what comes before there is a listener waits for it", async () => {
      const [near, far] = await pair();
      for (let index = 0; index < 20; index++) near.send(frameOf(100, index));
      await new Promise((resolve) => setImmediate(resolve));
      const heard = new Heard().on(far);
      await heard.until(() => heard.frames.length === 20);
      expect(heard.frames.map((frame) => new DataView(frame).getUint32(12, true))).toEqual(Array.from({ length: 20 }, (_, index) => index));
    });

    test("the other side hears of the end once, after what was sent before it", async () => {
      const [near, far] = await pair();
      const [nearHeard, farHeard] = [new Heard().on(near), new Heard().on(far)];
      near.send(frameOf(10, 1));
      await farHeard.until(() => farHeard.frames.length === 1);
      near.close();
      await farHeard.until(() => farHeard.losses.length > 0);
      far.send(frameOf(10, 2));
      far.close();
      await new Promise((resolve) => setImmediate(resolve));
      expect([nearHeard.losses, farHeard.losses.length, nearHeard.frames.length]).toEqual([[], 1, 0]);
    });

    test("a greeting that is expected is let in, and frames follow it", async () => {
      const { network, reception: door } = await reception();
      const taken: Wire[] = [];
      door.expect(expected, (from, wire) => {
        expect(from).toBe(0);
        taken.push(wire);
      });
      const wire = await greet(await network.transport.dial(network.address), hello, systemClock, 10_000);
      wire.send(frameOf(64, 7));
      const far = new Heard().on(taken[0] as Wire);
      const near = new Heard().on(wire);
      (taken[0] as Wire).send(frameOf(8, 9));
      await far.until(() => far.frames.length === 1);
      await near.until(() => near.frames.length === 1);
    });

    test.each<readonly [string, Partial<Hello>, string]>([
      ["an older attempt", { attempt: 2 }, "attempt 2 is over"],
      ["another epoch", { epoch: 1 }, "epoch 2, not 1"],
      ["another job", { job: "other" }, "this is job job"],
      ["another plan", { planFingerprint: "other" }, "another version of the job"],
      ["another slot", { to: 2 }, "this is slot 1, not 2"],
      ["another version", { version: 99 }, "speaks version 99"],
    ])("%s is refused, and told why", async (_what, wrong, reason) => {
      const { network, reception: door } = await reception();
      const taken: Wire[] = [];
      door.expect(expected, (_from, wire) => taken.push(wire));
      const greeting = greet(await network.transport.dial(network.address), { ...hello, ...wrong }, systemClock, 10_000);
      await expect(greeting).rejects.toMatchObject({ code: "EXCHANGE_REFUSED", message: expect.stringContaining(reason) as string });
      expect(taken).toEqual([]);
    });

    test("a greeting that comes before its deployment waits for it, and an older one that waited is refused by it", async () => {
      const { network, reception: door } = await reception();
      const early = greet(await network.transport.dial(network.address), hello, systemClock, 10_000);
      const stale = greet(await network.transport.dial(network.address), { ...hello, attempt: 2 }, systemClock, 10_000);
      stale.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      const taken: Wire[] = [];
      door.expect(expected, (_from, wire) => taken.push(wire));
      (await early).close();
      await expect(stale).rejects.toMatchObject({ code: "EXCHANGE_REFUSED" });
      expect(taken).toHaveLength(1);
    });

    test("a greeting for a deployment that never comes is refused after a while", async () => {
      const { network } = await reception(30);
      const greeting = greet(await network.transport.dial(network.address), { ...hello, attempt: 9 }, systemClock, 10_000);
      await expect(greeting).rejects.toMatchObject({
        code: "EXCHANGE_REFUSED",
        message: expect.stringContaining("is not deployed here") as string,
      });
    });
  });
}
