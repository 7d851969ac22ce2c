// SASL over an open connection: PLAIN (RFC 4616) and SCRAM (RFC 5802) with SHA-256 and SHA-512.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { KafkaProblem } from "./kafka-problem.ts";

export type SaslMechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512";

export interface SaslCredentials {
  readonly mechanism: SaslMechanism;
  readonly username: string;
  /** A function is asked at each connection, so that a rotated password is picked up. */
  readonly password: string | (() => string | Promise<string>);
}

/** Sends one token and gives the server's answer. */
export type SaslExchange = (token: Buffer) => Promise<Buffer>;

const derive = promisify(pbkdf2);
const leastIterations = 4096;
const mostIterations = 1_000_000;

export async function authenticate(
  credentials: SaslCredentials,
  exchange: SaslExchange,
  nonce: string = randomBytes(18).toString("base64"),
): Promise<void> {
  const password = typeof credentials.password === "string" ? credentials.password : await credentials.password();
  switch (credentials.mechanism) {
    case "PLAIN":
      await exchange(Buffer.from(`\0${credentials.username}\0${password}`));
      return;
    case "SCRAM-SHA-256":
      return scram("sha256", 32, credentials.username, password, nonce, exchange);
    case "SCRAM-SHA-512":
      return scram("sha512", 64, credentials.username, password, nonce, exchange);
  }
}

async function scram(
  hash: string,
  keyBytes: number,
  username: string,
  password: string,
  nonce: string,
  exchange: SaslExchange,
): Promise<void> {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const firstBare = `n=${username.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  const serverFirst = (await exchange(Buffer.from(`n,,${firstBare}`))).toString();
  const offer = attributes(serverFirst);
  const iterations = Number(offer.get("i"));
  const serverNonce = offer.get("r") ?? "";
  if (!serverNonce.startsWith(nonce) || serverNonce === nonce) throw refused("the server's nonce does not continue ours");
  if (!(iterations >= leastIterations && iterations <= mostIterations)) throw refused(`the server asks for ${offer.get("i")} iterations`);
  const salted = await derive(password, Buffer.from(offer.get("s") ?? "", "base64"), iterations, keyBytes, hash);
  const clientKey = hmac(salted, "Client Key");
  const finalBare = `c=biws,r=${serverNonce}`;
  const authMessage = `${firstBare},${serverFirst},${finalBare}`;
  const signature = hmac(createHash(hash).update(clientKey).digest(), authMessage);
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] as number)));
  const serverFinal = attributes((await exchange(Buffer.from(`${finalBare},p=${proof.toString("base64")}`))).toString());
  if (serverFinal.has("e")) throw refused(serverFinal.get("e") as string);
  const claimed = Buffer.from(serverFinal.get("v") ?? "", "base64");
  const own = hmac(hmac(salted, "Server Key"), authMessage);
  if (claimed.length !== own.length || !timingSafeEqual(claimed, own)) throw refused("the server does not know the password");
}

function attributes(message: string): ReadonlyMap<string, string> {
  return new Map(message.split(",").map((part) => [part.slice(0, 1), part.slice(2)]));
}

function refused(problem: string): KafkaProblem {
  return new KafkaProblem("fatal", `SCRAM: ${problem}`, { kafkaCode: 58 });
}
