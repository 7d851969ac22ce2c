// The layout of data files: blocks, an index of the blocks, and a trailer that says where the index is.
// docs/reference/snapshot-format.md describes it for readers in other languages.
import { crc32c } from "@node-rs/crc32";
import { ByteReader, ByteWriter } from "../../base/bytes.ts";

export const dataFileMagic = "MLRDATA1";
export const trailerBytes = 32;
export const dataFileVersion = 1;

/** What a block may be at most before compression: a reader refuses larger ones instead of allocating them. */
export const maxBlockBytes: number = 256 * 1024 * 1024;
export const maxIndexBytes: number = 512 * 1024 * 1024;

/** Which of an operator's entries a section holds: what changed, or the slices of a base. */
export type SectionPart = "changes" | "base";

export type Compression = "none" | "zstd";

/** Where bytes are in a data file. */
export interface StoredRange {
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly compression: Compression;
  /** CRC-32C of the stored bytes. */
  readonly crc32c: number;
}

/** One block of the index. The blocks of a section are in the order in which they apply. */
export interface IndexedBlock extends StoredRange {
  readonly table: string;
  /** Which of the manifest's table specs the entries are encoded with. */
  readonly specId: string;
  readonly keyGroup: number;
  readonly entryCount: number;
}

export interface Section {
  readonly uid: string;
  readonly part: SectionPart;
  readonly blocks: readonly IndexedBlock[];
}

export interface Trailer {
  readonly indexOffset: number;
  readonly indexBytes: number;
  readonly indexCrc32c: number;
}

export function encodeIndex(sections: readonly Section[]): Buffer {
  const writer = new ByteWriter(4096);
  writer.varint(sections.length);
  for (const { uid, part, blocks } of sections) {
    writer.string(uid);
    writer.u8(part === "base" ? 1 : 0);
    const tables = [...new Map(blocks.map((block) => [tableKey(block), block])).values()];
    const numbers = new Map(tables.map((block, number) => [tableKey(block), number]));
    writer.varint(tables.length);
    for (const { table, specId } of tables) {
      writer.string(table);
      writer.string(specId);
    }
    writer.varint(blocks.length);
    for (const block of blocks) {
      writer.varint(numbers.get(tableKey(block)) as number);
      writer.varint(block.keyGroup);
      writer.varint(block.entryCount);
      writer.varint(block.offset);
      writer.varint(block.storedBytes);
      writer.varint(block.rawBytes);
      writer.u8(block.compression === "zstd" ? 1 : 0);
      writer.u32(block.crc32c);
    }
  }
  return writer.copy();
}

function tableKey(block: IndexedBlock): string {
  return `${block.specId} ${block.table}`;
}

/** Throws RangeError for bytes that are no index. */
export function decodeIndex(bytes: Uint8Array): readonly Section[] {
  const reader = new ByteReader(bytes);
  const sections: Section[] = [];
  for (let count = reader.varint(); count > 0; count--) {
    const uid = reader.string();
    const part: SectionPart = flag(reader.u8(), "part") ? "base" : "changes";
    const tables: { readonly table: string; readonly specId: string }[] = [];
    for (let left = reader.varint(); left > 0; left--) tables.push({ table: reader.string(), specId: reader.string() });
    const blocks: IndexedBlock[] = [];
    for (let left = reader.varint(); left > 0; left--) {
      const number = reader.varint();
      const table = tables[number];
      if (table === undefined) throw new RangeError(`table ${number} of ${tables.length}`);
      blocks.push({
        ...table,
        keyGroup: reader.varint(),
        entryCount: reader.varint(),
        offset: reader.varint(),
        storedBytes: reader.varint(),
        rawBytes: reader.varint(),
        compression: flag(reader.u8(), "compression") ? "zstd" : "none",
        crc32c: reader.u32(),
      });
    }
    sections.push({ uid, part, blocks });
  }
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes follow the index`);
  return sections;
}

function flag(value: number, what: string): boolean {
  if (value > 1) throw new RangeError(`unknown ${what} ${value}`);
  return value === 1;
}

export function encodeTrailer(trailer: Trailer): Buffer {
  const bytes = Buffer.alloc(trailerBytes);
  bytes.writeBigUInt64LE(BigInt(trailer.indexOffset), 0);
  bytes.writeUInt32LE(trailer.indexBytes, 8);
  bytes.writeUInt32LE(trailer.indexCrc32c, 12);
  bytes.writeUInt32LE(dataFileVersion, 16);
  // The trailer's own check, so that a bit flipped in it is not taken for a strange offset.
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 20)), 20);
  bytes.write(dataFileMagic, 24, "latin1");
  return bytes;
}

/** Throws RangeError for bytes that are no trailer. */
export function decodeTrailer(bytes: Buffer): Trailer {
  if (bytes.length !== trailerBytes)
    throw new RangeError(`the file ends in its trailer, ${bytes.length} of ${trailerBytes} bytes are there`);
  if (bytes.toString("latin1", 24) !== dataFileMagic)
    throw new RangeError("the file does not end as a data file does: it was cut off or is something else");
  if (bytes.readUInt32LE(20) !== crc32c(bytes.subarray(0, 20))) throw new RangeError("the checksum of the trailer does not match");
  const version = bytes.readUInt32LE(16);
  if (version !== dataFileVersion) throw new RangeError(`data file version ${version} is not ${dataFileVersion}`);
  const indexOffset = Number(bytes.readBigUInt64LE(0));
  return { indexOffset, indexBytes: bytes.readUInt32LE(8), indexCrc32c: bytes.readUInt32LE(12) };
}
