// Decompression of streams: several members and frames, frames nobody decodes, any size of reads, and every truncation noticed.
import { gzipSync, zstdCompressSync, constants } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isMillraceError } from "../../../base/errors.ts";
import { compressionOf, decompressed } from "./compression.ts";
import type { ByteStream } from "./file-store.ts";

function streamOf(bytes: Uint8Array, most: number): ByteStream {
  let at = 0;
  return {
    async read(target, to, length) {
      const size = Math.min(length, most, bytes.length - at);
      target.set(bytes.subarray(at, at + size), to);
      at += size;
      return size;
    },
    async close() {},
  };
}

async function read(bytes: Uint8Array, compression: "gzip" | "zstd", most = 1 << 20): Promise<string> {
  const stream = decompressed("the file", streamOf(bytes, most), compression);
  const parts: Buffer[] = [];
  try {
    for (;;) {
      const part = Buffer.alloc(1000);
      const size = await stream.read(part, 0, part.length);
      if (size === 0) return Buffer.concat(parts).toString();
      parts.push(part.subarray(0, size));
    }
  } finally {
    await stream.close();
  }
}

const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const pack = {
  gzip: (text: string) => gzipSync(text),
  zstd: (text: string) => zstdCompressSync(text, text.length % 2 === 0 ? {} : checked),
};
/** A frame that decoders skip: 4 bytes of magic, the size, and whatever. */
const skippable = Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]), Buffer.from("hello")]);

for (const compression of ["gzip", "zstd"] as const) {
  test(`${compression}: any number of parts, in any reads`, async () => {
    const texts = fc.array(
      fc.string({ maxLength: 300 }).map((text) => text.repeat(1 + (text.length % 40))),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 200 }), async (parts, most) => {
        const bytes = Buffer.concat(parts.map((part) => pack[compression](part)));
        expect(await read(bytes, compression, most)).toBe(parts.join(""));
      }),
      { numRuns: 150 },
    );
    const large = "0123456789abcdef".repeat(200_000);
    expect(await read(pack[compression](large), compression)).toBe(large);
  });

  test(`${compression}: cut at any byte, or followed by something else, it is FILES_CORRUPT`, async () => {
    const whole = pack[compression]("some text that is not so short, some text that is not so short!");
    for (let size = 0; size < whole.length; size++) {
      const error: unknown = await read(whole.subarray(0, size), compression).catch((thrown: unknown) => thrown);
      expect(isMillraceError(error, "FILES_CORRUPT"), `${size} of ${whole.length} bytes: ${String(error)}`).toBe(true);
    }
    const damaged = Buffer.from(whole);
    damaged[12] = (damaged[12] as number) ^ 0xff;
    await expect(read(damaged, compression)).rejects.toMatchObject({ code: "FILES_CORRUPT" });
  });
}

test("zstd: frames to be skipped are, rubbish is not", async () => {
  const frame = zstdCompressSync("text");
  expect(await read(Buffer.concat([skippable, frame, skippable, frame, skippable]), "zstd")).toBe("texttext");
  await expect(read(Buffer.concat([frame, Buffer.from("rubbish")]), "zstd")).rejects.toMatchObject({ code: "FILES_CORRUPT" });
});

test("closing in the middle ends the decoder", async () => {
  for (const compression of ["gzip", "zstd"] as const) {
    const stream = decompressed("x", streamOf(pack[compression]("0123456789".repeat(1_000_000)), 100), compression);
    await stream.read(Buffer.alloc(10), 0, 10);
    await stream.close();
    const untouched = decompressed("x", streamOf(pack[compression]("x"), 100), compression);
    await untouched.close();
  }
});

test("names tell the compression", () => {
  expect(["a.ndjson", "b.csv.gz", "c.ZST", "gz"].map(compressionOf)).toEqual(["none", "gzip", "zstd", "gzip"]);
  expect(() => compressionOf("a.ndjson.xz")).toThrow(expect.objectContaining({ code: "FILES_COMPRESSION_UNSUPPORTED" }));
});
