// The S3 client, loaded when the first s3:// path is opened: the SDK is an optional peer dependency.
import type * as AwsSdk from "@aws-sdk/client-s3";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import { changed, denied, pathMissing } from "./store-errors.ts";

/** What is not given is taken from the standard environment (AWS_REGION, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, profiles, roles). */
export interface FilesS3Options {
  /** URL of a server that speaks S3; default AWS. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Bucket in the path, not in the host's name. Default: true when there is an endpoint of one's own. */
  readonly forcePathStyle?: boolean;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
}

export const filesS3OptionNames: readonly (keyof FilesS3Options)[] = [
  "endpoint",
  "region",
  "forcePathStyle",
  "accessKeyId",
  "secretAccessKey",
  "sessionToken",
];

export interface S3Connection {
  readonly sdk: typeof AwsSdk;
  readonly client: AwsSdk.S3Client;
}

const connectionTimeoutMs = 5_000;
const requestTimeoutMs = 60_000;
/** Attempts of one request, with the SDK's own backoff between them. */
const maxAttempts = 4;

/** Makes a client; connects to nothing. Throws DEPENDENCY_MISSING without the SDK, OPTION_INVALID for half a pair of credentials. */
export async function connectS3(options: FilesS3Options): Promise<S3Connection> {
  const { accessKeyId, secretAccessKey, sessionToken } = options;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw new MillraceError(
      "OPTION_INVALID",
      "S3 credentials",
      "one of accessKeyId and secretAccessKey is missing",
      "give both or neither",
    );
  }
  const sdk = await import("@aws-sdk/client-s3").catch((cause: unknown) => {
    throw new MillraceError(
      "DEPENDENCY_MISSING",
      "s3:// files",
      "the package @aws-sdk/client-s3 is not installed",
      "run npm install @aws-sdk/client-s3",
      { cause },
    );
  });
  const endpoint = options.endpoint ?? process.env["AWS_ENDPOINT_URL_S3"] ?? process.env["AWS_ENDPOINT_URL"];
  const client = new sdk.S3Client({
    region: options.region ?? process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "us-east-1",
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }),
    maxAttempts,
    // Servers other than AWS often do not know the newer checksum headers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: { connectionTimeout: connectionTimeoutMs, requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true },
  });
  return { sdk, client };
}

/** The HTTP status of a failed request; 0 where there was no answer. */
export function statusOf(error: unknown): number {
  const metadata = error instanceof Error && "$metadata" in error ? (error.$metadata as { readonly httpStatusCode?: number }) : undefined;
  return metadata?.httpStatusCode ?? 0;
}

/** From an error of the SDK. */
export function s3Error(path: string, error: unknown, doing: "read" | "write"): MillraceError {
  if (isMillraceError(error)) return error;
  const name = error instanceof Error ? error.name : "";
  const status = statusOf(error);
  if (name === "NoSuchBucket" || name === "NoSuchKey" || name === "NotFound" || status === 404) return pathMissing(path, error);
  if (status === 401 || status === 403 || name === "CredentialsProviderError" || name === "SignatureDoesNotMatch")
    return denied(path, error);
  if (status === 412) return changed(path, "was replaced while it was read", error);
  const [code, verb] = doing === "read" ? (["FILES_READ_FAILED", "read"] as const) : (["FILES_WRITE_FAILED", "written"] as const);
  const problem = `cannot be ${verb}: ${name || "error"}: ${messageOf(error)}`;
  return new MillraceError(code, path, problem, "check the endpoint, the network and the server", { cause: error });
}
