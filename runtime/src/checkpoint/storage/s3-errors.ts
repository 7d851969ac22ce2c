// From the errors of an S3 client to those of snapshot storage.
import { MillraceError, messageOf } from "../../base/errors.ts";
import { objectMissing, storageDenied, storageFull, storageMissing } from "./storage-errors.ts";

const passingNames: ReadonlySet<string> = new Set([
  "TimeoutError",
  "RequestTimeout",
  "RequestTimeoutException",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "InternalError",
  "ServiceUnavailable",
  "ConditionalRequestConflict",
  "OperationAborted",
  "NetworkingError",
]);
const passingCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);
const credentialNames: ReadonlySet<string> = new Set([
  "InvalidAccessKeyId",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidToken",
  "TokenRefreshRequired",
  "AuthorizationHeaderMalformed",
  "XAdminUserNotFound",
]);

interface ClientError {
  readonly name: string;
  readonly status: number;
  readonly code: string;
}

function describe(error: unknown): ClientError {
  if (!(error instanceof Error)) return { name: "", status: 0, code: "" };
  const { $metadata, code } = error as Error & { readonly $metadata?: { readonly httpStatusCode?: number }; readonly code?: unknown };
  return { name: error.name, status: $metadata?.httpStatusCode ?? 0, code: typeof code === "string" ? code : "" };
}

/** True for a failure that may pass: the network, a busy server, a conditional write that met another one. */
export function isPassing(error: unknown): boolean {
  const { name, status, code } = describe(error);
  return (
    status >= 500 ||
    status === 429 ||
    passingNames.has(name) ||
    passingCodes.has(code) ||
    code.startsWith("ERR_SSL_WRONG") ||
    isNoResponse(error)
  );
}

// A reply that is not S3's (a proxy's page, a cut connection) has neither a status nor a known name.
function isNoResponse(error: unknown): boolean {
  return error instanceof Error && (error.message.includes("socket hang up") || error.name === "AbortError");
}

/** True when a write that failed this way may have happened all the same: the answer was lost. */
export function mayHaveHappened(error: unknown): boolean {
  const { name, code } = describe(error);
  return isPassing(error) && code !== "ECONNREFUSED" && code !== "ENOTFOUND" && name !== "SlowDown";
}

/** True when a condition (If-Match, If-None-Match) did not hold. */
export function isConditionFailed(error: unknown): boolean {
  const { name, status } = describe(error);
  return name === "PreconditionFailed" || status === 412;
}

export function isMissingObject(error: unknown): boolean {
  const { name, status } = describe(error);
  return name === "NoSuchKey" || name === "NotFound" || (status === 404 && name !== "NoSuchBucket");
}

/** True when a range starts at or after the object's end. */
export function isRangeOutside(error: unknown): boolean {
  const { name, status } = describe(error);
  return name === "InvalidRange" || status === 416;
}

/** What went wrong for good, in the codes of the port. */
export function s3Error(error: unknown, url: string, path: string): unknown {
  if (error instanceof MillraceError) return error;
  const { name, status } = describe(error);
  const bucket = url.slice("s3://".length).split("/")[0] ?? "";
  if (name === "NoSuchBucket")
    return storageMissing(url, `the bucket ${bucket} does not exist`, "create it, or correct the URL or the endpoint", error);
  if (name === "CredentialsProviderError") {
    return storageDenied(
      url,
      "there are no credentials",
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give them as options",
      error,
    );
  }
  if (credentialNames.has(name)) {
    return storageDenied(url, `the server refuses the credentials (${name})`, "check the access key, the secret and the region", error);
  }
  if (name === "QuotaExceeded" || name === "XMinioStorageFull" || status === 507) return storageFull(url, error);
  if (status === 301 || name === "PermanentRedirect") {
    return storageMissing(url, `the bucket ${bucket} is in another region`, "set the option region, or AWS_REGION, to the bucket's", error);
  }
  if (status === 403 || status === 401) {
    return storageDenied(
      url,
      `access is denied (${name})`,
      "allow s3:GetObject, PutObject, DeleteObject and ListBucket for this prefix",
      error,
    );
  }
  if (isMissingObject(error)) return objectMissing(url, path, error);
  return new MillraceError(
    "STORAGE_FAILED",
    `${url}/${path}`,
    `the server answered ${status} ${name}: ${messageOf(error)}`,
    "see the server's log",
    { cause: error },
  );
}
