// Merging watermarks of channels.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { WatermarkGate } from "./watermark-gate.ts";

describe("WatermarkGate", () => {
  test("is at the least of its channels, once all have spoken", () => {
    const gate = new WatermarkGate(2);
    expect(gate.advance(0, 10)).toBe("nothing");
    expect(gate.currentMs).toBe(-Infinity);
    expect(gate.advance(1, 5)).toBe("advanced");
    expect(gate.currentMs).toBe(5);
    expect(gate.advance(1, 20)).toBe("advanced");
    expect(gate.currentMs).toBe(10);
  });

  test("has heard of all channels once each has said something, whatever it is", () => {
    const gate = new WatermarkGate(3);
    gate.advance(0, 10);
    gate.advance(0, 20);
    gate.setIdle(1);
    expect(gate.heardAll).toBe(false);
    gate.setActive(2);
    expect(gate.heardAll).toBe(true);
    expect(gate.currentMs).toBe(-Infinity);
  });

  test("does not wait for an idle channel, and waits again once it is active", () => {
    const gate = new WatermarkGate(2);
    gate.advance(0, 10);
    expect(gate.setIdle(1)).toBe("advanced");
    expect(gate.currentMs).toBe(10);
    gate.advance(0, 20);
    expect(gate.currentMs).toBe(20);
    gate.advance(1, 12);
    expect(gate.advance(0, 30)).toBe("nothing");
    expect(gate.currentMs).toBe(20);
    expect(gate.advance(1, 25)).toBe("advanced");
    expect(gate.currentMs).toBe(25);
  });

  test("keeps its time when all channels are idle, and says so once", () => {
    const gate = new WatermarkGate(2);
    gate.advance(0, 10);
    gate.advance(1, 10);
    expect(gate.setIdle(0)).toBe("nothing");
    expect(gate.setIdle(1)).toBe("becameIdle");
    expect(gate.idle).toBe(true);
    expect(gate.currentMs).toBe(10);
    expect(gate.setIdle(1)).toBe("nothing");
    expect(gate.advance(1, 10)).toBe("becameActive");
    expect(gate.idle).toBe(false);
  });

  test("is active again without news of time, at the time it had", () => {
    const gate = new WatermarkGate(2);
    gate.advance(0, 10);
    gate.advance(1, 20);
    expect(gate.setIdle(0)).toBe("advanced");
    expect(gate.setActive(0)).toBe("nothing");
    expect(gate.advance(1, 30)).toBe("nothing");
    expect(gate.currentMs).toBe(20);
    gate.setIdle(0);
    expect(gate.setIdle(1)).toBe("becameIdle");
    expect(gate.setActive(1)).toBe("becameActive");
    expect(gate.setActive(1)).toBe("nothing");
  });

  test("is at the end of time when all channels have ended, not when the others are idle", () => {
    const gate = new WatermarkGate(3);
    gate.advance(0, 10);
    expect(gate.advance(0, endOfTime)).toBe("nothing");
    expect(gate.setIdle(1)).toBe("nothing");
    expect(gate.setIdle(2)).toBe("becameIdle");
    expect(gate.advance(1, 15)).toBe("advanced");
    expect(gate.advance(1, endOfTime)).toBe("becameIdle");
    expect(gate.currentMs).toBe(15);
    expect(gate.advance(2, endOfTime)).toBe("advanced");
    expect(gate.currentMs).toBe(endOfTime);
  });

  test("never goes back and equals a plain model", () => {
    const what = fc.oneof(fc.constantFrom("idle" as const, "active" as const), fc.integer({ min: 0, max: 100 }), fc.constant(endOfTime));
    const step = fc.record({ channel: fc.integer({ min: 0, max: 2 }), what });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const gate = new WatermarkGate(3);
        const times = [-Infinity, -Infinity, -Infinity];
        const idle = [false, false, false];
        let reached = -Infinity;
        let wasIdle = false;
        for (const { channel, what: news } of steps) {
          const told = news === "idle" ? gate.setIdle(channel) : news === "active" ? gate.setActive(channel) : gate.advance(channel, news);
          idle[channel] = news === "idle";
          if (typeof news === "number") times[channel] = Math.max(times[channel] as number, news);
          const open = [0, 1, 2].filter((index) => times[index] !== endOfTime);
          const active = open.filter((index) => !idle[index]);
          const before = reached;
          if (open.length === 0) reached = endOfTime;
          else if (active.length > 0) reached = Math.max(reached, Math.min(...active.map((index) => times[index] as number)));
          const isIdle = open.length > 0 && active.length === 0;
          expect(gate.currentMs).toBe(reached);
          expect(gate.idle).toBe(isIdle);
          const change = isIdle && !wasIdle ? "becameIdle" : !isIdle && wasIdle ? "becameActive" : "nothing";
          expect(told).toBe(reached > before ? "advanced" : change);
          wasIdle = isIdle;
        }
      }),
    );
  });
});
