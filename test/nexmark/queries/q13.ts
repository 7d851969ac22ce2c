// Query 13, bounded side input join: every bid with the value of its key in a small table that is read once.
import { int53, monotonic, schema, string, values } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

const SideRow = schema({ key: int53(), value: string() });

/** Every third key is left out, so that the join also has to leave bids out. */
export const sideInput: readonly { readonly key: number; readonly value: string }[] = Array.from({ length: 10_000 }, (_, key) => ({
  key,
  value: `value ${key}`,
})).filter(({ key }) => key % 3 !== 0);

export const q13: NexmarkQuery = {
  number: 13,
  title: "Bounded side input join",
  result: "append",
  fields: ["auction", "bidder", "price", "dateTime", "value"],
  describe({ flow, bids }, out) {
    // Valid since ever; a bid waits until the whole table is read.
    const side = flow.source("side-input", values(SideRow, sideInput), { time: () => 0, watermarks: monotonic() });
    bids
      .select("auction", "bidder", "price", "dateTime")
      .withFields({ sideKey: int53() }, (bid) => ({ sideKey: bid.auction % 10_000 }))
      .keyBy("sideKey")
      .joinTable(side.keyBy("key"), { uid: "with-side-input" })
      .select("auction", "bidder", "price", "dateTime", "value")
      .to("out", out);
  },
};
