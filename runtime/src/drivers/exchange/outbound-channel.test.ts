// A channel out of a slot: what goes within its credit, what waits, and what a checkpoint that cannot wait takes with it.
import { describe, expect, test } from "vitest";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { int32 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { defaultFrameLimits } from "./frame/frame-builder.ts";
import { frameCredit, frameKindOf } from "./frame/frame-reader.ts";
import { frameKind } from "./frame/layout.ts";
import { OutboundChannel } from "./outbound-channel.ts";

const one = schema({ n: int32() });

function batchOf(count: number): Batch {
  const rows = new Rows(one, count);
  rows.ready.fill(1);
  rows.size = count;
  return new Batch(rows).set(
    rows,
    Int32Array.from({ length: count }, (_, index) => index),
    count,
  );
}

function open(): { readonly channel: OutboundChannel; readonly sent: ArrayBuffer[]; sentCredit(): number; emit(): void } {
  const sent: ArrayBuffer[] = [];
  const channel = new OutboundChannel({
    id: 7,
    schema: one,
    fields: [0],
    limits: defaultFrameLimits,
    send: (frame) => sent.push(frame),
    dirty: () => undefined,
    wake: () => undefined,
  });
  return {
    channel,
    sent,
    sentCredit: () => sent.filter((frame) => frameKindOf(frame) === frameKind.rows).reduce((sum, frame) => sum + frameCredit(frame), 0),
    emit() {
      channel.receive(batchOf(100));
      channel.seal();
    },
  };
}

const barrier = (checkpointId: number) => ({ checkpointId, drain: false, sinceMs: performance.now() });

describe("an outbound channel", () => {
  test("sends nothing before the receiver has granted credit, and then in order", () => {
    const { channel, sent, emit } = open();
    emit();
    channel.receiveBarrier(barrier(1));
    expect(sent.length).toBe(0);
    expect(channel.obstacle.stands).toBe(true);
    channel.grant(1_000_000);
    expect(sent.map(frameKindOf)).toEqual([frameKind.rows, frameKind.barrier]);
    expect(channel.obstacle.stands).toBe(false);
  });

  test("that a checkpoint forced stands in the way until the receiver has made up for what went without credit", () => {
    const { channel, sentCredit, emit } = open();
    channel.grant(1);
    emit();
    emit();
    channel.receiveBarrier(barrier(1));
    const frame = sentCredit();
    channel.force(1);
    expect(channel.holdsBarrier(1)).toBe(false);
    expect(sentCredit()).toBe(2 * frame);
    expect(channel.obstacle.stands).toBe(true);
    channel.grant(frame);
    expect(channel.obstacle.stands).toBe(true);
    channel.grant(frame);
    expect(channel.obstacle.stands).toBe(false);
  });

  test("owes no more after many forced checkpoints than after one, for a sender that heeds the obstacle", () => {
    const { channel, sentCredit, emit } = open();
    channel.grant(1);
    for (let id = 1; id <= 20; id++) {
      // A turn of the loop: the source is polled where nothing stands in its way.
      for (let turn = 0; turn < 3; turn++) if (!channel.obstacle.stands) emit();
      channel.receiveBarrier(barrier(id));
      channel.force(id);
    }
    const { sentCredit: afterOne, emit: emitOne, channel: single } = open();
    single.grant(1);
    emitOne();
    emitOne();
    single.receiveBarrier(barrier(1));
    single.force(1);
    expect(sentCredit()).toBe(afterOne());
  });
});
