// The texts of Nexmark events as bytes that are made once: an event's text is a range of them, so most events copy nothing.
import { EventRandom } from "./random.ts";

const states = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const cities = ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const firstNames = ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const lastNames = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
/** Half of the bids come through these. */
const hotChannels = ["Google", "Facebook", "Baidu", "Apple"];
export const hotChannelCount: number = hotChannels.length;
export const channelCount = 10_000;

/** Texts one behind the other; text `i` is `bytes[starts[i], ends[i])`. */
export interface TextTable {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

export interface NexmarkTexts {
  /** A first and a last name. */
  readonly names: TextTable;
  readonly cities: TextTable;
  readonly states: TextTable;
  /** The hot channels, then `channel-0` and so on; the URL of the same number belongs to it. */
  readonly channels: TextTable;
  readonly urls: TextTable;
  /** Letters with a space now and then: names and descriptions are ranges of it. */
  readonly words: Buffer;
  /** Letters: padding is a range of it. */
  readonly padding: Buffer;
}

const wordBytes = 262_144;
const paddingBytes = 1_048_576;

function table(texts: readonly string[]): TextTable {
  const starts = new Int32Array(texts.length);
  const ends = new Int32Array(texts.length);
  let at = 0;
  for (const [i, text] of texts.entries()) {
    starts[i] = at;
    at += text.length;
    ends[i] = at;
  }
  return { bytes: Buffer.from(texts.join(""), "latin1"), starts, ends };
}

/** Letters `a` to `z`, one in thirteen of them `special` where that is given. */
function letters(random: EventRandom, length: number, special: number | undefined): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let i = 0; i < length; i++) bytes[i] = special !== undefined && random.below(13) === 0 ? special : 97 + random.below(26);
  return bytes;
}

function baseUrl(random: EventRandom): string {
  const part = (): string => letters(random, 3 + random.below(2), 95).toString("latin1");
  return `https://www.nexmark.com/${part()}/${part()}/${part()}/item.htm?query=1`;
}

/** The bits of a 32-bit integer in reverse order, without a sign: how channels get ids that look random. */
function reversedBits(value: number): number {
  let bits = value;
  let reversed = 0;
  for (let i = 0; i < 32; i++) {
    reversed = (reversed << 1) | (bits & 1);
    bits >>>= 1;
  }
  return Math.abs(reversed);
}

let made: NexmarkTexts | undefined;

/** The texts; the same for every seed. */
export function nexmarkTexts(): NexmarkTexts {
  made ??= makeTexts();
  return made;
}

function makeTexts(): NexmarkTexts {
  const random = new EventRandom(0);
  random.start(0);
  const channels = [...hotChannels];
  const urls = hotChannels.map(() => baseUrl(random));
  for (let i = 0; i < channelCount; i++) {
    channels.push(`channel-${i}`);
    const url = baseUrl(random);
    urls.push(random.below(10) > 0 ? `${url}&channel_id=${reversedBits(i)}` : url);
  }
  return {
    names: table(firstNames.flatMap((first) => lastNames.map((last) => `${first} ${last}`))),
    cities: table(cities),
    states: table(states),
    channels: table(channels),
    urls: table(urls),
    words: letters(random, wordBytes, 32),
    padding: letters(random, paddingBytes, undefined),
  };
}
