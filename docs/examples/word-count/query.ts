// Asks the word-count services how often words were said: any of them answers, wherever the word is counted.
import { QueryClient } from "millrace/embedded";

const { URLS = "http://localhost:8080" } = process.env;

// #region query
const client = new QueryClient({ urls: URLS.split(",") });
const counts = client.store<{ word: string }, { times: number }>("count");
for (const word of process.argv.slice(2)) console.log(word, (await counts.get({ word }))?.times ?? 0);
// #endregion
console.log("words:", (await counts.all()).length);
