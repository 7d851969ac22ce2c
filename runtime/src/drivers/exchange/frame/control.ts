// The small frames: barriers, credit, and the greeting of a connection.
import { at, frameCorrupt, frameKind, headerBytes, magic } from "./layout.ts";

/** A barrier on its way between two slots. */
export interface BarrierFrame {
  readonly checkpointId: number;
  /** How long ago its sources emitted it, ms: a duration, since clocks of two machines differ. */
  readonly ageMs: number;
  /** It ends a drain: operators finish what they have under way before they let it pass. */
  readonly drain: boolean;
}

function header(kind: number, channel: number, bodyBytes: number): { readonly buffer: ArrayBuffer; readonly data: DataView } {
  const buffer = new ArrayBuffer(headerBytes + bodyBytes);
  const data = new DataView(buffer);
  data.setUint32(at.magic, magic, true);
  data.setUint32(at.length, buffer.byteLength, true);
  data.setUint32(at.kind, kind, true);
  data.setUint32(at.channel, channel, true);
  return { buffer, data };
}

export function encodeBarrier(channel: number, barrier: BarrierFrame): ArrayBuffer {
  const { buffer, data } = header(frameKind.barrier, channel, 16);
  data.setUint32(at.flags, barrier.drain ? 1 : 0, true);
  data.setFloat64(headerBytes, barrier.checkpointId, true);
  data.setFloat64(headerBytes + 8, barrier.ageMs, true);
  return buffer;
}

export function decodeBarrier(frame: ArrayBuffer): BarrierFrame {
  if (frame.byteLength !== headerBytes + 16) throw frameCorrupt(`a barrier has ${frame.byteLength} bytes`);
  const data = new DataView(frame);
  const checkpointId = data.getFloat64(headerBytes, true);
  const ageMs = data.getFloat64(headerBytes + 8, true);
  if (!Number.isSafeInteger(checkpointId) || checkpointId < 1 || !(ageMs >= 0))
    throw frameCorrupt(`a barrier is of checkpoint ${checkpointId}`);
  return { checkpointId, ageMs, drain: data.getUint32(at.flags, true) === 1 };
}

/** The receiver has room for `bytes` more of `channel`. */
export function encodeCredit(channel: number, bytes: number): ArrayBuffer {
  const { buffer, data } = header(frameKind.credit, channel, 8);
  data.setFloat64(headerBytes, bytes, true);
  return buffer;
}

export function decodeCredit(frame: ArrayBuffer): number {
  const bytes = frame.byteLength === headerBytes + 8 ? new DataView(frame).getFloat64(headerBytes, true) : -1;
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw frameCorrupt("a grant of credit cannot be read");
  return bytes;
}

/** A greeting or its answer, as JSON. */
export function encodeMessage(kind: number, message: object): ArrayBuffer {
  const text = Buffer.from(JSON.stringify(message));
  const { buffer } = header(kind, 0, text.length);
  new Uint8Array(buffer).set(text, headerBytes);
  return buffer;
}

export function decodeMessage(frame: ArrayBuffer): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(Buffer.from(frame, headerBytes).toString("utf8")) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw frameCorrupt("a greeting cannot be read", cause);
  }
}
