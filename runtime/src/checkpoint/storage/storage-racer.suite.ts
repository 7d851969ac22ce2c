// One of two processes that race for the same objects: started by the contract suite of snapshot storage.
import { isMillraceError } from "../../base/errors.ts";
import { openStorage, type StorageOptions } from "./open-storage.ts";

interface Race {
  readonly id: number;
  readonly rounds: number;
  readonly url: string;
  readonly options: StorageOptions;
}

const { id, rounds, url, options } = JSON.parse(process.env["RACER"] ?? "") as Race;
const storage = await openStorage(url, options);
const created: boolean[] = [];
let steps = 0;

async function raised(): Promise<boolean> {
  const { content, version } = await storage.get("race/counter");
  try {
    await storage.replace("race/counter", Buffer.from(String(Number(content.toString()) + 1)), version);
    return true;
  } catch (error) {
    if (isMillraceError(error, "OBJECT_CONFLICT")) return false;
    throw error;
  }
}

try {
  await storage.create("race/counter", Buffer.from("0"));
} catch (error) {
  if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
}
for (let round = 0; round < rounds; round++) {
  try {
    await storage.create(`race/process-${round}`, Buffer.from(`racer ${id}`));
    created.push(true);
  } catch (error) {
    if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
    created.push(false);
  }
  while (!(await raised())) await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
  steps++;
}
await storage.close();
process.send?.({ created, steps });
process.disconnect?.();
