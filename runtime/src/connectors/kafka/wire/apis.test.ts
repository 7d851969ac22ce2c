// Requests against the client library's encoders, answers against hand-made bytes and damage.
import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  createPartitionsV3,
  createTopicsV7,
  deleteGroupsV2,
  deleteRecordsV2,
  deleteTopicsV6,
  describeConfigsV4,
  describeGroupsV5,
  describeTransactionsV0,
  endTxnV3,
  fetchV12,
  findCoordinatorV4,
  heartbeatV4,
  initProducerIdV4,
  joinGroupV7,
  leaveGroupV4,
  listOffsetsV7,
  listTransactionsV0,
  metadataV11,
  offsetCommitV8,
  offsetFetchV7,
  saslAuthenticateV2,
  saslHandshakeV1,
  syncGroupV5,
  txnOffsetCommitV3,
} from "@platformatic/kafka";
import type { Writer } from "@platformatic/kafka";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KafkaApi } from "./api.ts";
import { fetchApi, produceApi, produceBody } from "./data-apis.ts";
import * as groups from "./group-apis.ts";
import { apiVersionsApi, findCoordinatorApi, metadataApi, saslAuthenticateApi, saslHandshakeApi } from "./metadata-apis.ts";
import { listOffsetsApi, noMember, offsetCommitApi, offsetFetchApi } from "./offset-apis.ts";
import { ProtocolReader } from "./protocol-reader.ts";
import { ProtocolWriter } from "./protocol-writer.ts";
import { createPartitionsApi, createTopicsApi, deleteRecordsApi, deleteTopicsApi, describeConfigsApi } from "./topic-apis.ts";
import * as transactions from "./transaction-apis.ts";

function ours<Request>(api: KafkaApi<Request, unknown>, request: Request): string {
  const writer = new ProtocolWriter(api.flexible, 1);
  api.encode(writer, request);
  return writer.view().toString("hex");
}
const theirs = (writer: Writer): string => writer.buffer.toString("hex");

const owner = { transactionalId: "job.sink.0", producerId: 2 ** 40 + 5, producerEpoch: 9 };
const pair = [owner.transactionalId, BigInt(owner.producerId), owner.producerEpoch] as const;
const offsets = [
  { topic: "bids", partition: 3, offset: 2 ** 35, leaderEpoch: 4, metadata: "déjà" },
  { topic: "bids", partition: 1, offset: 0, leaderEpoch: -1, metadata: "" },
  { topic: "out", partition: 0, offset: 7, leaderEpoch: 0, metadata: "x" },
];
const partitionOf = ({ partition, offset, leaderEpoch, metadata }: (typeof offsets)[number]) => ({
  partitionIndex: partition,
  committedOffset: BigInt(offset),
  committedLeaderEpoch: leaderEpoch,
  committedMetadata: metadata,
});
const offsetTopics = [
  { name: "bids", partitions: offsets.slice(0, 2).map(partitionOf) },
  { name: "out", partitions: offsets.slice(2).map(partitionOf) },
];
const partitions = offsets.map(({ topic, partition }) => ({ topic, partition }));

describe("requests", () => {
  it("about the cluster are encoded as the client library encodes them", () => {
    expect(ours(metadataApi, { topics: ["a", "bb"] })).toBe(theirs(metadataV11.createRequest(["a", "bb"], false, false)));
    expect(ours(findCoordinatorApi, { kind: "transaction", key: "t" })).toBe(theirs(findCoordinatorV4.createRequest(1, ["t"])));
    expect(ours(findCoordinatorApi, { kind: "group", key: "g" })).toBe(theirs(findCoordinatorV4.createRequest(0, ["g"])));
    expect(ours(saslHandshakeApi, { mechanism: "PLAIN" })).toBe(theirs(saslHandshakeV1.createRequest("PLAIN")));
    expect(ours(saslAuthenticateApi, { token: Buffer.from("abc") })).toBe(theirs(saslAuthenticateV2.createRequest(Buffer.from("abc"))));
  });

  it("about topics are encoded as the client library encodes them", () => {
    const topic = { name: "t", partitions: 3, replicationFactor: -1, configs: { "cleanup.policy": "compact" } };
    const library = {
      name: "t",
      numPartitions: 3,
      replicationFactor: -1,
      assignments: [],
      configs: [{ name: "cleanup.policy", value: "compact" }],
    };
    expect(ours(createTopicsApi, { topics: [topic] })).toBe(theirs(createTopicsV7.createRequest([library], 30_000, false)));
    expect(ours(deleteTopicsApi, { topics: ["t"] })).toBe(theirs(deleteTopicsV6.createRequest([{ name: "t" }], 30_000)));
    const records = [{ name: "t", partitions: [{ partitionIndex: 2, offset: 9n }] }];
    expect(ours(deleteRecordsApi, { topic: "t", partition: 2, beforeOffset: 9 })).toBe(
      theirs(deleteRecordsV2.createRequest(records, 30_000)),
    );
    // The library writes an empty list of assignments where null means "the broker's choice": the bytes differ in that one.
    const [empty] = [theirs(createPartitionsV3.createRequest([{ name: "t", count: 4, assignments: [] }], 30_000, false))];
    expect(ours(createPartitionsApi, { topic: "t", count: 4 })).toBe(`${empty.slice(0, 14)}00${empty.slice(16)}`);
  });

  it("about offsets are encoded as the client library encodes them", () => {
    const entries = [{ topic: "bids", partition: 3, timestampMs: -2, leaderEpoch: -1 }];
    const listed = [{ name: "bids", partitions: [{ partitionIndex: 3, currentLeaderEpoch: -1, timestamp: -2n }] }];
    expect(ours(listOffsetsApi, { isolation: "read_committed", entries })).toBe(theirs(listOffsetsV7.createRequest(-1, 1, listed)));
    const wanted = [
      { name: "bids", partitionIndexes: [3, 1] },
      { name: "out", partitionIndexes: [0] },
    ];
    expect(ours(offsetFetchApi, { groupId: "g", partitions, requireStable: true })).toBe(
      theirs(offsetFetchV7.createRequest([{ groupId: "g", topics: wanted }], true)),
    );
    expect(ours(offsetFetchApi, { groupId: "g", partitions: null, requireStable: true })).toBe(
      theirs(offsetFetchV7.createRequest([{ groupId: "g", topics: null }], true)),
    );
    expect(ours(offsetCommitApi, { groupId: "g", member: noMember, offsets })).toBe(
      theirs(offsetCommitV8.createRequest("g", -1, "", null, offsetTopics)),
    );
  });

  it("of groups are encoded as the client library encodes them", () => {
    const member = { generationId: 7, memberId: "m-1", groupInstanceId: "pod-0" };
    const metadata = Buffer.from([0, 1, 255]);
    const joining = { ...member, sessionTimeoutMs: 6000, rebalanceTimeoutMs: 9000, protocolType: "consumer" };
    const join = { ...joining, groupId: "g", protocols: [{ name: "p", metadata }] };
    expect(ours(groups.joinGroupApi, join)).toBe(
      theirs(joinGroupV7.createRequest("g", 6000, 9000, "m-1", "pod-0", "consumer", [{ name: "p", metadata }])),
    );
    const assignments = [{ memberId: "m-1", assignment: metadata }];
    const sync = { groupId: "g", member, protocolType: "consumer", protocolName: "p", assignments };
    expect(ours(groups.syncGroupApi, sync)).toBe(theirs(syncGroupV5.createRequest("g", 7, "m-1", "pod-0", "consumer", "p", assignments)));
    expect(ours(groups.heartbeatApi, { groupId: "g", member })).toBe(theirs(heartbeatV4.createRequest("g", 7, "m-1", "pod-0")));
    expect(ours(groups.leaveGroupApi, { groupId: "g", ...member })).toBe(
      theirs(leaveGroupV4.createRequest("g", [{ memberId: "m-1", groupInstanceId: "pod-0" }])),
    );
    expect(ours(groups.describeGroupsApi, { groupId: "g" })).toBe(theirs(describeGroupsV5.createRequest(["g"], false)));
    expect(ours(groups.deleteGroupsApi, { groupId: "g" })).toBe(theirs(deleteGroupsV2.createRequest(["g"])));
    // The library asks for named entries; null asks for all of them, and the bytes differ in that one.
    const one = theirs(describeConfigsV4.createRequest([{ resourceType: 2, resourceName: "t", configurationKeys: [] }], false, false));
    expect(ours(describeConfigsApi, { topic: "t" })).toBe(`${one.slice(0, 8)}${one.slice(8).replace("01", "00")}`);
  });

  it("of transactions are encoded as the client library encodes them", () => {
    const init = { transactionalId: owner.transactionalId, transactionTimeoutMs: 60_000 };
    expect(ours(transactions.initProducerIdApi, init)).toBe(theirs(initProducerIdV4.createRequest(owner.transactionalId, 60_000)));
    const added = [
      { name: "bids", partitions: [3, 1] },
      { name: "out", partitions: [0] },
    ];
    const transaction = { transactionalId: pair[0], producerId: pair[1], producerEpoch: pair[2], verifyOnly: false, topics: added };
    expect(ours(transactions.addPartitionsToTxnApi, { owner, partitions })).toBe(theirs(addPartitionsToTxnV3.createRequest([transaction])));
    expect(ours(transactions.addOffsetsToTxnApi, { owner, groupId: "g" })).toBe(theirs(addOffsetsToTxnV3.createRequest(...pair, "g")));
    expect(ours(transactions.endTxnApi, { owner, commit: true })).toBe(theirs(endTxnV3.createRequest(...pair, true)));
    const member = { generationId: 5, memberId: "m", groupInstanceId: "i" };
    expect(ours(transactions.txnOffsetCommitApi, { owner, groupId: "g", member, offsets })).toBe(
      theirs(txnOffsetCommitV3.createRequest(pair[0], "g", pair[1], pair[2], 5, "m", "i", offsetTopics)),
    );
    expect(ours(transactions.describeTransactionsApi, { transactionalIds: ["a"] })).toBe(
      theirs(describeTransactionsV0.createRequest(["a"])),
    );
    expect(ours(transactions.listTransactionsApi, { states: ["Ongoing"] })).toBe(
      theirs(listTransactionsV0.createRequest(["Ongoing"], [], 0n, null)),
    );
  });

  it("for records are encoded as the client library encodes them", () => {
    const partition = { topic: "t", partition: 2, offset: 2 ** 33, leaderEpoch: 6, lastFetchedEpoch: 5, maxBytes: 1000 };
    const library = { partition: 2, currentLeaderEpoch: 6, fetchOffset: BigInt(2 ** 33), lastFetchedEpoch: 5, partitionMaxBytes: 1000 };
    const request = { isolation: "read_committed", maxWaitMs: 500, minBytes: 1, maxBytes: 9999, partitions: [partition] } as const;
    expect(ours(fetchApi, request)).toBe(
      theirs(fetchV12.createRequest(500, 1, 9999, 1, 0, -1, [{ topicId: "t", partitions: [library] }], [], "")),
    );
  });

  it("to produce are the pieces of one body, with the batches uncopied", () => {
    const [first, second, third] = [Buffer.from("first"), Buffer.alloc(300, 7), Buffer.from("3")] as [Buffer, Buffer, Buffer];
    const batches = [
      { topic: "a", partition: 1, batch: first },
      { topic: "b", partition: 0, batch: third },
      { topic: "a", partition: 2, batch: second },
    ];
    const pieces = produceBody({ transactionalId: "id", acks: -1, timeoutMs: 77, batches });
    for (const batch of [first, second, third]) expect(pieces).toContain(batch);
    const writer = new ProtocolWriter(true);
    writer.string("id").i16(-1).i32(77).arrayLength(2);
    writer.string("a").arrayLength(2).i32(1).bytes(first).tags().i32(2).bytes(second).tags().tags();
    writer.string("b").arrayLength(1).i32(0).bytes(third).tags().tags().tags();
    expect(Buffer.concat(pieces)).toEqual(writer.view());
  });
});

describe("answers", () => {
  const apis: readonly KafkaApi<never, unknown>[] = [
    apiVersionsApi,
    metadataApi,
    findCoordinatorApi,
    saslHandshakeApi,
    saslAuthenticateApi,
    listOffsetsApi,
    offsetFetchApi,
    offsetCommitApi,
    createTopicsApi,
    deleteTopicsApi,
    createPartitionsApi,
    deleteRecordsApi,
    describeConfigsApi,
    ...Object.values(groups),
    fetchApi,
    produceApi,
    ...Object.values(transactions),
  ];

  it("of nonsense throw RangeError or decode to something bounded", () => {
    fc.assert(
      fc.property(fc.constantFrom(...apis), fc.uint8Array({ maxLength: 120 }), fc.boolean(), (api, bytes, zeros) => {
        const buffer = Buffer.from(bytes);
        // Many small counts get past more fields than random bytes do.
        if (zeros) for (let i = 0; i < buffer.length; i++) buffer[i] = (buffer[i] as number) & 3;
        try {
          expect(JSON.stringify(api.decode(new ProtocolReader(buffer, api.flexible)) ?? null).length).toBeLessThan(50_000);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("to a fetch say where records are, what was aborted and where the log diverges", () => {
    const writer = new ProtocolWriter(true);
    writer.i32(0).i16(0).i32(0).arrayLength(1).string("t").arrayLength(1);
    writer.i32(3).i16(0).i64(50).i64(40).i64(10).arrayLength(1).i64(77).i64(44).tags().i32(-1).bytes(Buffer.from("records"));
    writer.uvarint(1).uvarint(0).uvarint(13).i32(6).i64(33).tags().tags().tags();
    const answer = fetchApi.decode(new ProtocolReader(writer.view(), true));
    expect(answer.partitions).toMatchObject([
      {
        topic: "t",
        partition: 3,
        highWatermark: 50,
        lastStableOffset: 40,
        logStartOffset: 10,
        aborted: [{ producerId: 77, firstOffset: 44 }],
      },
    ]);
    const [found] = answer.partitions;
    expect(found?.divergence).toEqual({ epoch: 6, endOffset: 33 });
    expect(writer.view().toString("utf8", found?.recordsStart, found?.recordsEnd)).toBe("records");
  });
});
