// Requests about the cluster: API versions, metadata, coordinators, SASL.
import type { KafkaApi } from "./api.ts";

export interface ApiVersionRange {
  readonly key: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/** Version 0, whose answer every broker can give and every client can read. */
export const apiVersionsApi: KafkaApi<Record<never, never>, { readonly errorCode: number; readonly ranges: readonly ApiVersionRange[] }> = {
  name: "ApiVersions",
  key: 18,
  version: 0,
  flexible: false,
  encode: () => undefined,
  decode: (reader) => ({
    errorCode: reader.i16(),
    ranges: reader.array(() => ({ key: reader.i16(), minVersion: reader.i16(), maxVersion: reader.i16() })),
  }),
};

export interface MetadataBroker {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

export interface MetadataPartition {
  readonly errorCode: number;
  readonly partition: number;
  /** -1 while there is no leader. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly inSyncReplicas: readonly number[];
}

export interface MetadataTopic {
  readonly errorCode: number;
  readonly name: string;
  /** 32 hexadecimal digits; all zero where the broker has no topic ids. */
  readonly topicId: string;
  readonly isInternal: boolean;
  readonly partitions: readonly MetadataPartition[];
}

export interface MetadataResponse {
  readonly brokers: readonly MetadataBroker[];
  readonly clusterId: string | null;
  readonly controllerId: number;
  readonly topics: readonly MetadataTopic[];
}

/** Never creates a topic: a misspelt name must be an error, not a new topic. */
export const metadataApi: KafkaApi<{ readonly topics: readonly string[] | null }, MetadataResponse> = {
  name: "Metadata",
  key: 3,
  version: 11,
  flexible: true,
  encode(writer, { topics }) {
    const zeroTopicId = new Uint8Array(16);
    writer.array(topics, (topic) => writer.raw(zeroTopicId).string(topic).tags());
    writer.bool(false).bool(false).tags();
  },
  decode(reader) {
    reader.i32();
    const brokers = reader.array(() => {
      const broker = { nodeId: reader.i32(), host: reader.string(), port: reader.i32(), rack: reader.nullableString() };
      reader.tags();
      return broker;
    });
    const clusterId = reader.nullableString();
    const controllerId = reader.i32();
    const topics = reader.array(() => {
      const errorCode = reader.i16();
      const name = reader.string();
      const topicId = reader.uuid();
      const isInternal = reader.bool();
      const partitions = reader.array(() => {
        const partition = {
          errorCode: reader.i16(),
          partition: reader.i32(),
          leaderId: reader.i32(),
          leaderEpoch: reader.i32(),
          replicas: reader.array(() => reader.i32()),
          inSyncReplicas: reader.array(() => reader.i32()),
        };
        reader.array(() => reader.i32());
        reader.tags();
        return partition;
      });
      reader.i32();
      reader.tags();
      return { errorCode, name, topicId, isInternal, partitions };
    });
    reader.tags();
    return { brokers, clusterId, controllerId, topics };
  },
};

export type CoordinatorKind = "group" | "transaction";

export interface FoundCoordinator {
  readonly errorCode: number;
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export const findCoordinatorApi: KafkaApi<{ readonly kind: CoordinatorKind; readonly key: string }, FoundCoordinator> = {
  name: "FindCoordinator",
  key: 10,
  version: 4,
  flexible: true,
  encode(writer, { kind, key }) {
    writer.i8(kind === "group" ? 0 : 1);
    writer.array([key], (each) => writer.string(each)).tags();
  },
  decode(reader) {
    reader.i32();
    const found = reader.array(() => {
      reader.string();
      const coordinator = { nodeId: reader.i32(), host: reader.string(), port: reader.i32(), errorCode: reader.i16() };
      reader.nullableString();
      reader.tags();
      return coordinator;
    });
    reader.tags();
    const first = found[0];
    if (first === undefined) throw new RangeError("the answer names no coordinator");
    return first;
  },
};

export const saslHandshakeApi: KafkaApi<
  { readonly mechanism: string },
  { readonly errorCode: number; readonly mechanisms: readonly string[] }
> = {
  name: "SaslHandshake",
  key: 17,
  version: 1,
  flexible: false,
  encode: (writer, { mechanism }) => void writer.string(mechanism),
  decode: (reader) => ({ errorCode: reader.i16(), mechanisms: reader.array(() => reader.string()) }),
};

export interface SaslAuthenticateResponse {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly token: Buffer;
  /** After this long the broker closes the connection unless it authenticates again; 0 means never. */
  readonly sessionLifetimeMs: number;
}

export const saslAuthenticateApi: KafkaApi<{ readonly token: Uint8Array }, SaslAuthenticateResponse> = {
  name: "SaslAuthenticate",
  key: 36,
  version: 2,
  flexible: true,
  encode: (writer, { token }) => void writer.bytes(token).tags(),
  decode(reader) {
    const response = {
      errorCode: reader.i16(),
      errorMessage: reader.nullableString(),
      token: Buffer.from(reader.bytes()),
      sessionLifetimeMs: reader.i64(),
    };
    reader.tags();
    return response;
  },
};
