// SCRAM against the example of RFC 7677, and against servers that cheat.
import { expect, it } from "vitest";
import { authenticate } from "./sasl.ts";

const credentials = { mechanism: "SCRAM-SHA-256", username: "user", password: "pencil" } as const;
const nonce = "rOprNGfwEbeRWgbNEkqO";
const serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const serverFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

async function exchange(answers: readonly string[]): Promise<readonly string[]> {
  const sent: string[] = [];
  await authenticate(
    credentials,
    (token) => {
      sent.push(token.toString());
      return Promise.resolve(Buffer.from(answers[sent.length - 1] as string));
    },
    nonce,
  );
  return sent;
}

it("says what the RFC's client says", async () => {
  expect(await exchange([serverFirst, serverFinal])).toEqual([
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  ]);
});

it.each([
  ["another nonce", [serverFirst.replace("rOpr", "rOpx"), serverFinal]],
  ["our nonce alone", [`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, serverFinal]],
  ["too few iterations", [serverFirst.replace("4096", "1"), serverFinal]],
  ["endless iterations", [serverFirst.replace("4096", "4000000000"), serverFinal]],
  ["a wrong signature", [serverFirst, "v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="]],
  ["no signature", [serverFirst, ""]],
  ["an error", [serverFirst, "e=invalid-proof"]],
])("refuses a server with %s", async (_what, answers) => {
  await expect(exchange(answers)).rejects.toMatchObject({ kafkaCode: 58 });
});

it("escapes what a user name may not hold", async () => {
  const sent: string[] = [];
  const attempt = authenticate({ ...credentials, username: "a=b,c" }, (token) => {
    sent.push(token.toString());
    return Promise.resolve(Buffer.from("e=other-error"));
  });
  await expect(attempt).rejects.toMatchObject({ kafkaCode: 58 });
  expect(sent[0]).toContain("n,,n=a=3Db=2Cc,r=");
});

it("sends PLAIN as RFC 4616 has it", async () => {
  let sent = "";
  await authenticate({ mechanism: "PLAIN", username: "tim", password: () => "tanstaaftanstaaf" }, (token) => {
    sent = token.toString();
    return Promise.resolve(Buffer.alloc(0));
  });
  expect(sent).toBe("\0tim\0tanstaaftanstaaf");
});
