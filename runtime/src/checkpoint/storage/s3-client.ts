// The S3 client, loaded when it is first needed: the SDK is an optional peer dependency.
import type * as AwsSdk from "@aws-sdk/client-s3";
import { MillraceError } from "../../base/errors.ts";

/** What is not given is taken from the standard environment (AWS_REGION, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, profiles, roles). */
export interface S3Options {
  /** URL of a server that speaks S3; default AWS. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Bucket in the path, not in the host's name. Default: true when there is an endpoint of one's own. */
  readonly forcePathStyle?: boolean;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
}

export type S3Sdk = typeof AwsSdk;

export interface S3Connection {
  readonly sdk: S3Sdk;
  readonly client: AwsSdk.S3Client;
}

/** Milliseconds until a connection or an answer counts as lost. */
const connectionTimeoutMs = 3_000;
const requestTimeoutMs = 20_000;
const maxSockets = 32;

/** Makes a client; connects to nothing. Throws DEPENDENCY_MISSING without the SDK, OPTION_INVALID for half a pair of credentials. */
export async function connectS3(options: S3Options, env: Readonly<Record<string, string | undefined>>): Promise<S3Connection> {
  const sdk = await loadSdk();
  const endpoint = options.endpoint ?? env["AWS_ENDPOINT_URL_S3"] ?? env["AWS_ENDPOINT_URL"];
  const { accessKeyId, secretAccessKey, sessionToken } = options;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw new MillraceError(
      "OPTION_INVALID",
      "S3 credentials",
      "one of accessKeyId and secretAccessKey is missing",
      "give both, or neither to use the environment",
    );
  }
  const client = new sdk.S3Client({
    region: options.region ?? env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"] ?? "us-east-1",
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }),
    // Retries are the storage's own: it must know whether a conditional write was sent before.
    maxAttempts: 1,
    // Servers other than AWS often do not know the newer checksum headers; content is checked by the snapshot format's own checksums.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: {
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets },
      httpsAgent: { maxSockets },
    },
  });
  return { sdk, client };
}

async function loadSdk(): Promise<S3Sdk> {
  try {
    return await import("@aws-sdk/client-s3");
  } catch (cause) {
    throw new MillraceError(
      "DEPENDENCY_MISSING",
      "s3:// storage",
      "the package @aws-sdk/client-s3 is not installed",
      "run npm install @aws-sdk/client-s3",
      { cause },
    );
  }
}
