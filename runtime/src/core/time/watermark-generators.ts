// The watermark of one split, derived from the greatest event time it has shown.
import { assert } from "../../base/errors.ts";
import type { WatermarkGenerator, WatermarkStrategy } from "./watermark-strategy.ts";

/**
 * Rows may be up to `outOfOrdernessMs` behind the greatest time seen. The watermark is that time - bound - 1, as in Flink's
 * BoundedOutOfOrdernessWatermarks: a row exactly at the bound is still on time.
 */
class BoundedOutOfOrderness implements WatermarkGenerator {
  readonly #outOfOrdernessMs: number;
  #maxTimeMs = -Infinity;

  constructor(outOfOrdernessMs: number) {
    this.#outOfOrdernessMs = outOfOrdernessMs;
  }

  onBatch(maxTimeMs: number): void {
    if (maxTimeMs > this.#maxTimeMs) this.#maxTimeMs = maxTimeMs;
  }

  current(): number {
    return this.#maxTimeMs - this.#outOfOrdernessMs - 1;
  }
}

const none: WatermarkGenerator = { onBatch() {}, current: () => -Infinity };

/** A generator for one split. */
export function watermarkGenerator(strategy: WatermarkStrategy): WatermarkGenerator {
  switch (strategy.kind) {
    case "boundedOutOfOrderness":
      return new BoundedOutOfOrderness(strategy.outOfOrdernessMs ?? 0);
    case "monotonic":
      return new BoundedOutOfOrderness(0);
    case "none":
      return none;
    case "custom":
      assert(strategy.create !== undefined, "a custom watermark strategy has a create function");
      return strategy.create();
  }
}
