// What a registry answers is checked: an address that is somebody else's is one error, not a schema that is undefined.
import { expect, test } from "vitest";
import { type Conversation, idOfSchema, latestSchema, schemaById } from "./registry-requests.ts";

/** The outcome of a conversation in which every answer is this one. */
function told<T>(conversation: Conversation<T>, body: string): T {
  conversation.next();
  const { done, value } = conversation.next({ status: 200, body });
  if (done !== true) throw new Error("it asks on");
  return value;
}

const bodies: readonly (readonly [body: string, problem: string])[] = [
  ["<html>", "is not JSON"],
  ["null", "is no object"],
  ["{}", "has no schema"],
  ['{"schema":7}', "has no schema"],
  ['{"schema":"S","id":"7"}', "has an id that is no whole number"],
  ['{"schema":"S","schemaType":1}', "has a schemaType that is no text"],
  ['{"schema":"S","references":[{"name":"a"}]}', "has references that are none"],
  ['{"schema":"S","references":{}}', "has references that are none"],
];

test.each(bodies)("an answer %s is no schema", (body, problem) => {
  for (const conversation of [schemaById(1), latestSchema("a")]) {
    const strange = { code: "SCHEMA_REGISTRY_UNREACHABLE", message: expect.stringContaining(`the answer ${problem}`) };
    expect(() => told<unknown>(conversation, body)).toThrow(expect.objectContaining(strange));
  }
});

test.each(["{}", "null", '{"id":"7"}'])("an answer %s is no id", (body) => {
  const conversation = idOfSchema("a", { type: "AVRO", text: "S" }, true);
  expect(() => told(conversation, body)).toThrow(expect.objectContaining({ code: "SCHEMA_REGISTRY_UNREACHABLE" }));
});

test("a schema and an id are taken, also where the registry says null of references", () => {
  expect(told(latestSchema("a"), '{"schema":"S","id":7,"references":null}')).toMatchObject({ id: 7, text: "S", type: "AVRO" });
  expect(told(idOfSchema("a", { type: "AVRO", text: "S" }, false), '{"id":9}')).toBe(9);
});
