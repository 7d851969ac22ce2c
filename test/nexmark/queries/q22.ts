// Query 22, URL directories: the parts of the path of every bid's URL.
import { int53, schema, string } from "../../../runtime/src/index.ts";
import type { NexmarkQuery } from "./tables.ts";

const BidDirectories = schema({
  auction: int53(),
  bidder: int53(),
  price: int53(),
  channel: string(),
  dir1: string().nullable(),
  dir2: string().nullable(),
  dir3: string().nullable(),
});

export const q22: NexmarkQuery = {
  number: 22,
  title: "URL directories",
  result: "append",
  fields: ["auction", "bidder", "price", "channel", "dir1", "dir2", "dir3"],
  describe({ bids }, out) {
    bids
      .map(BidDirectories, ({ auction, bidder, price, channel, url }) => {
        // "https:", "", the host, then the path.
        const [, , , dir1 = null, dir2 = null, dir3 = null] = url.split("/");
        return { auction, bidder, price, channel, dir1, dir2, dir3 };
      })
      .to("out", out);
  },
};
