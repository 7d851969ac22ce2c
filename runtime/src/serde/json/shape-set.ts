// The shapes that records of one decoder have had: each is tried in turn, then the general path. Learns new ones and forgets those that do not pay.
import { type Block, type DecodeRows, type OtherWay, type ShapeTally, compileShape } from "./compile-shape.ts";
import type { GeneralReader } from "./general-reader.ts";
import { type RecordShape, shapeOf } from "./record-shape.ts";

/** Shapes that are tried on one record: each costs a little where the record has another. */
const maxAtOnce = 4;
/** Shapes that are compiled in a decoder's life; records that still have others go key by key. */
const maxCompiled = 24;
/** A new shape is the one with the most keys among this many records: it is likelier to hold the optional ones. */
const sampleRecords = 8;
/** Records between two judgements of the shapes. */
const judgeAfterRecords = 2048;
/** The share of its trials in which a shape must match to stay. */
const leastMatched = 0.05;

interface CompiledShape {
  readonly decode: DecodeRows;
  readonly tally: ShapeTally;
  /** What is tried when a record does not have this shape. */
  readonly otherwise: OtherWay;
}

export class ShapeSet {
  readonly #general: GeneralReader;
  #shapes: readonly CompiledShape[] = [];
  #compiled = 0;
  #samples = 0;
  #candidate: RecordShape | undefined;
  #recordsSinceJudged = 0;
  #decideCarefully: (row: number) => boolean = () => false;

  constructor(general: GeneralReader) {
    this.#general = general;
  }

  /** Decodes all rows of a block; `decideCarefully` is the last resort for a row. Returns how many are selected. */
  decode(block: Block, decideCarefully: (row: number) => boolean): number {
    this.#decideCarefully = decideCarefully;
    let row = 0;
    let selected = 0;
    // Until there is a shape.
    for (; row < block.count && this.#shapes.length === 0; row++) {
      if (this.#decodeGenerally(block, row)) block.selection[selected++] = row;
    }
    const first = this.#shapes[0];
    if (first === undefined) return selected;
    selected = first.decode(block, row, block.count, selected, first.tally, first.otherwise);
    this.#recordsSinceJudged += block.count - row;
    if (this.#recordsSinceJudged >= judgeAfterRecords) this.#judge();
    return selected;
  }

  #decodeGenerally(block: Block, row: number): boolean {
    const start = block.starts[row] as number;
    if (start < 0 || !this.#general.read(block.bytes, block.view, start, block.ends[row] as number, row)) return this.#decideCarefully(row);
    if (this.#shapes.length < maxAtOnce && this.#compiled < maxCompiled) this.#learn(block, start, block.ends[row] as number);
    return true;
  }

  #learn(block: Block, start: number, end: number): void {
    const shape = shapeOf(block.bytes, start, end, this.#general.keys);
    if (shape !== undefined && (this.#candidate === undefined || shape.entries.length > this.#candidate.entries.length))
      this.#candidate = shape;
    if (++this.#samples < sampleRecords) return;
    if (this.#candidate !== undefined) this.#add(this.#candidate);
    this.#samples = 0;
    this.#candidate = undefined;
  }

  #add(shape: RecordShape): void {
    this.#compiled++;
    const decode = compileShape(shape, this.#general);
    if (decode === undefined) return;
    const tally: ShapeTally = { tried: 0, matched: 0 };
    const added: CompiledShape = { decode, tally, otherwise: (block, row, selected) => this.#tryAfter(added, block, row, selected) };
    this.#shapes = [...this.#shapes, added];
  }

  #tryAfter(shape: CompiledShape, block: Block, row: number, selected: number): boolean {
    const next = this.#shapes[this.#shapes.indexOf(shape) + 1];
    if (next === undefined) return this.#decodeGenerally(block, row);
    return next.decode(block, row, row + 1, selected, next.tally, next.otherwise) > selected;
  }

  // The shape that matches most goes first; one that hardly ever does only costs time.
  #judge(): void {
    this.#recordsSinceJudged = 0;
    const kept = this.#shapes.filter(({ tally }) => tally.matched >= tally.tried * leastMatched);
    this.#shapes = kept.sort((a, b) => b.tally.matched - a.tally.matched);
    for (const { tally } of this.#shapes) {
      tally.tried = 0;
      tally.matched = 0;
    }
  }
}
