// Query 20, expand bid with auction: bids for auctions of category 10 with all that is known of the auction. A join that filters.
import type { NexmarkQuery } from "./tables.ts";

const ofBid = ["auction", "bidder", "price", "channel", "url", "bidDateTime", "bidExtra"] as const;
const ofAuction = [
  "itemName",
  "description",
  "initialBid",
  "reserve",
  "auctionDateTime",
  "expires",
  "seller",
  "category",
  "auctionExtra",
] as const;
const fields = [...ofBid, ...ofAuction] as const;

export const q20: NexmarkQuery = {
  number: 20,
  title: "Expand bid with auction",
  result: "append",
  fields,
  describe({ bids, auctions }, out) {
    const offers = auctions.filter((auction) => auction.category === 10);
    bids
      .rename({ bidDateTime: "dateTime", bidExtra: "extra" })
      .keyBy("auction")
      .join(offers.rename({ auctionDateTime: "dateTime", auctionExtra: "extra" }).keyBy("id"), { uid: "bids-with-auctions" })
      .select(...fields)
      .to("out", out);
  },
};
