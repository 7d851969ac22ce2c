// A bare consumer that tells how old each record is when it arrives, and adds up what it saw.
//
// node probe-main.ts BOOTSTRAP TOPIC RECORDS WARM_SECONDS ISOLATION rows|counts; prints "ready", and the figures once it saw RECORDS or nothing came for long.
import { kindOfCode } from "../../../runtime/src/connectors/kafka/client/kafka-problem.ts";
import type { Isolation } from "../../../runtime/src/connectors/kafka/wire/offset-apis.ts";
import { RecordBatchReader } from "../../../runtime/src/connectors/kafka/wire/record-batch-reader.ts";
import { RecordBlock } from "../../../runtime/src/connectors/kafka/wire/record-block.ts";
import { numberField } from "../kafka/number-field.ts";
import { openClient, partitionCount } from "../kafka/topics.ts";

const [bootstrap = "", topic = "", records = "0", warm = "10", isolation = "read_uncommitted", what = "rows"] = process.argv.slice(2);
const expected = Number(records);
const warmUs = Number(warm) * 1e6;
const counting = what === "counts";
const quietMs = 30_000;
const client = openClient(bootstrap);
await client.topics([topic]);
const readers = Array.from(
  { length: partitionCount },
  (_, partition) => new RecordBatchReader(`${topic}-${partition}`, { readCommitted: isolation === "read_committed" }),
);
const block = new RecordBlock(8192);
const priceKey = Buffer.from('"price":');
const countKey = Buffer.from('"count":');
const [bidderKey, startKey] = [Buffer.from('"bidder":'), Buffer.from('"windowStart":')];
/** The greatest count of each window, for output that has counts. */
const counts = new Map<string, number>();
const agesMs = new Float64Array(expected);
let measured = 0;
let seen = 0;
let sumUs = 0n;
let firstSentUs = Number.POSITIVE_INFINITY;
let lastSeenMs = performance.now();

// The topic was made a moment ago: its leader does not know it yet.
const isPassing = (code: number): boolean => kindOfCode(code) === "leader" || kindOfCode(code) === "retry";

function take(nowUs: number): void {
  let sum = 0;
  for (let i = 0; i < block.count; i++) {
    const sentUs = numberField(block.bytes, block.valueStart[i] as number, block.valueEnd[i] as number, priceKey);
    firstSentUs = Math.min(firstSentUs, sentUs);
    sum += sentUs % 1e9;
    if (counting) takeCount(block.valueStart[i] as number, block.valueEnd[i] as number);
    seen++;
    if (sentUs - firstSentUs >= warmUs && measured < expected) agesMs[measured++] = (nowUs - sentUs) / 1000;
  }
  sumUs += BigInt(sum);
}

function takeCount(start: number, end: number): void {
  const id = `${numberField(block.bytes, start, end, bidderKey)} ${numberField(block.bytes, start, end, startKey)}`;
  counts.set(id, Math.max(counts.get(id) ?? 0, numberField(block.bytes, start, end, countKey)));
}

process.stdout.write("ready\n");
while (seen < expected && performance.now() - lastSeenMs < quietMs) {
  const leaderId = client.leaderOf(topic, 0)?.leaderId ?? -1;
  const answer = await client.fetch(leaderId, {
    isolation: isolation as Isolation,
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: 32 * 1024 * 1024,
    partitions: readers.map(({ nextOffset }, partition) => ({
      topic,
      partition,
      offset: nextOffset,
      leaderEpoch: -1,
      lastFetchedEpoch: -1,
      maxBytes: 4 * 1024 * 1024,
    })),
  });
  const nowUs = (performance.timeOrigin + performance.now()) * 1000;
  for (const { partition, errorCode, recordsStart, recordsEnd, aborted } of answer.partitions) {
    const reader = readers[partition] as RecordBatchReader;
    if (isPassing(errorCode)) await client.topics([topic]);
    else if (errorCode !== 0) throw new Error(`fetch of ${topic}-${partition}: error ${errorCode}`);
    if (errorCode !== 0) continue;
    reader.open(answer.bytes, recordsStart, recordsEnd, reader.nextOffset, aborted);
    while (reader.readInto(block, block.capacity) > 0) {
      lastSeenMs = performance.now();
      take(nowUs);
    }
    reader.clear();
  }
  answer.release();
}
await client.close();
const sorted = agesMs.subarray(0, measured).sort();
// Rows add up to when they were sent, counts to how many rows were counted.
const sum = counting ? [...counts.values()].reduce((total, count) => total + count, 0) : sumUs;
const at = (share: number): number => sorted[Math.min(measured - 1, Math.floor(measured * share))] ?? Number.NaN;
process.stdout.write(
  `${JSON.stringify({ seen, sum: String(sum), measured, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) })}\n`,
);
