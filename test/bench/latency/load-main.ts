// A process that sends bids to a topic at a steady rate; `price` is the clock when a bid was sent, in microseconds since the epoch.
//
// node load-main.ts BOOTSTRAP TOPIC RATE SECONDS; prints {"sent":N,"worstBehindMs":N} when every record is acknowledged.
import { RecordBatchBuilder } from "../../../runtime/src/connectors/kafka/wire/record-batch-builder.ts";
import { openClient, partitionCount } from "../kafka/topics.ts";
import { random } from "../bids.ts";

const [bootstrap = "", topic = "", rate = "10000", seconds = "60"] = process.argv.slice(2);
const perSecond = Number(rate);
const total = perSecond * Number(seconds);
const batchBytes = 256 * 1024;
const client = openClient(bootstrap);
await client.topics([topic]);
const next = random(7);
const extras = Array.from({ length: 64 }, () =>
  Array.from({ length: 50 }, () => String.fromCharCode(97 + Math.floor(next() * 26))).join(""),
);
const value = Buffer.allocUnsafe(512);
const answers: Promise<unknown>[] = [];

const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000);

function bid(): number {
  const sentUs = nowUs();
  return value.write(
    `{"auction":${Math.floor(next() * 10_000)},"bidder":${1000 + Math.floor(next() * 10_000)},"price":${sentUs},"channel":"Google","url":"https://www.nexmark.com/abcde/fghij/klmno/item.htm?query=1","dateTime":${Math.floor(sentUs / 1000)},"extra":"${extras[Math.floor(next() * 64)]}"}`,
    "latin1",
  );
}

async function send(builders: readonly RecordBatchBuilder[]): Promise<void> {
  const stamp = { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false };
  const batches = builders.flatMap((builder, partition) =>
    builder.count === 0 ? [] : [{ topic, partition, batch: builder.finish(stamp) }],
  );
  const leaderId = client.leaderOf(topic, 0)?.leaderId ?? -1;
  for (const result of await client.produce(leaderId, { transactionalId: null, acks: 1, timeoutMs: 30_000, batches })) {
    if (result.errorCode !== 0) throw new Error(`produce failed with error ${result.errorCode}`);
  }
}

const startedMs = performance.now();
let sent = 0;
let worstBehindMs = 0;
while (sent < total) {
  const elapsedMs = performance.now() - startedMs;
  const due = Math.min(total, Math.floor((elapsedMs / 1000) * perSecond));
  worstBehindMs = Math.max(worstBehindMs, elapsedMs - (sent / perSecond) * 1000);
  if (due > sent) {
    const builders = Array.from({ length: partitionCount }, () => new RecordBatchBuilder(batchBytes, "none"));
    for (; sent < due; sent++) {
      const length = bid();
      builders[sent % partitionCount]?.append(Date.now(), value, -1, -1, value, 0, length, []);
    }
    answers.push(send(builders));
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
await Promise.all(answers);
await client.close();
process.stdout.write(`${JSON.stringify({ sent, worstBehindMs })}\n`);
