// Sequence numbers that go on rising over restarts and rescaling: what tells entries of one key apart, in the order of arrival.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";

/** Numbers are unique within an instance. A key lives in one instance at a time, and each starts above all that any has given. */
export class Sequence {
  #next = 0;

  constructor(context: OperatorContext, name = "sequence") {
    const restored = context.state.list(name, "union", () => [{ key: String(context.subtask), value: encode(this.#next) }]);
    for (const entry of restored) this.#next = Math.max(this.#next, new ByteReader(entry.value).f64());
  }

  take(): number {
    return this.#next++;
  }
}

function encode(value: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.f64(value);
  return writer.copy();
}
