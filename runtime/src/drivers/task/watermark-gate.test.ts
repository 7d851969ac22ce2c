// Merging watermarks of channels.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
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

  test("never goes back and equals a plain model", () => {
    const step = fc.record({
      channel: fc.integer({ min: 0, max: 2 }),
      timeMs: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const gate = new WatermarkGate(3);
        const times = [-Infinity, -Infinity, -Infinity];
        const idle = [false, false, false];
        let reached = -Infinity;
        for (const { channel, timeMs } of steps) {
          if (timeMs === undefined) {
            gate.setIdle(channel);
            idle[channel] = true;
          } else {
            gate.advance(channel, timeMs);
            idle[channel] = false;
            times[channel] = Math.max(times[channel] as number, timeMs);
          }
          const active = times.filter((_, index) => !idle[index]);
          if (active.length > 0) reached = Math.max(reached, Math.min(...active));
          expect(gate.currentMs).toBe(reached);
        }
      }),
    );
  });
});
