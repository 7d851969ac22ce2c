// Query 3, local item suggestion: who sells in Oregon, Idaho or California in category 10, and which auctions. A join of two streams for ever.
import type { NexmarkQuery } from "./tables.ts";

const states = new Set(["OR", "ID", "CA"]);

export const q3: NexmarkQuery = {
  number: 3,
  title: "Local item suggestion",
  result: "append",
  fields: ["name", "city", "state", "id"],
  describe({ auctions, persons }, out) {
    const offers = auctions.filter((auction) => auction.category === 10).select("id", "seller");
    const locals = persons
      .filter((person) => states.has(person.state))
      .select("id", "name", "city", "state")
      .rename({ person: "id" });
    offers.keyBy("seller").join(locals.keyBy("person"), { uid: "offers-of-locals" }).select("name", "city", "state", "id").to("out", out);
  },
};
