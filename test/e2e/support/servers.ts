// Kafka and S3 at the address at which pods reach this machine, for the tests of one run; they end with the run.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMillraceError } from "../../../runtime/src/base/errors.ts";
import { openStorage } from "../../../runtime/src/checkpoint/storage/open-storage.ts";
import { clientOptions } from "../../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../../runtime/src/connectors/kafka/client/wire-client.ts";
import { realCluster } from "../../support/cluster.ts";
import { hack } from "./scripts.ts";

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const NAME = "pods";

export interface PodServers {
  readonly brokers: readonly string[];
  readonly kafka: WireKafkaClient;
  /** True when the bucket has this object. */
  stored(path: string): Promise<boolean>;
  readonly s3: {
    readonly endpoint: string;
    readonly region: string;
    readonly bucket: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
  };
}

const stateOf = (kind: string): Record<string, string> =>
  JSON.parse(
    readFileSync(join(process.env["MILLRACE_SERVERS"] || join(repository, ".cache/run"), `${kind}-${NAME}.json`), "utf8"),
  ) as Record<string, string>;

/** Starts what is not up. */
export async function podServers(): Promise<PodServers> {
  const { host } = realCluster();
  for (const kind of ["kafka", "s3"]) await hack(kind, "up", "--name", NAME, "--address", host);
  const { bootstrap = "" } = stateOf("kafka");
  const brokers = bootstrap.split(",");
  const { endpoint = "", region = "", bucket = "", accessKeyId = "", secretAccessKey = "" } = stateOf("s3");
  return {
    brokers,
    kafka: new WireKafkaClient(clientOptions({ bootstrapServers: brokers }), {}),
    stored: async (path) => {
      const storage = await openStorage(`s3://${bucket}`, { s3: { endpoint, region, accessKeyId, secretAccessKey } });
      try {
        await storage.get(path);
        return true;
      } catch (error) {
        if (isMillraceError(error, "OBJECT_MISSING")) return false;
        throw error;
      } finally {
        await storage.close();
      }
    },
    s3: { endpoint, region, bucket, accessKeyId, secretAccessKey },
  };
}

/** The Secret `s3` with which pods reach the S3 server. */
export function credentials({ s3 }: PodServers, namespace: string): object {
  const stringData = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey, AWS_REGION: s3.region };
  return { apiVersion: "v1", kind: "Secret", metadata: { name: "s3", namespace }, stringData };
}

export const s3Of = ({ s3 }: PodServers): { readonly endpoint: string; readonly region: string; readonly forcePathStyle: boolean } => ({
  ...{ endpoint: s3.endpoint, region: s3.region, forcePathStyle: true },
});
