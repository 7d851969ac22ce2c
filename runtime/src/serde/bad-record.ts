// Why a record is not a row: thrown within a decoder, and told to whoever handles bad records.

export class BadRecord extends Error {
  readonly code: "RECORD_UNPARSABLE" | "RECORD_MISFIT";

  constructor(code: "RECORD_UNPARSABLE" | "RECORD_MISFIT", reason: string) {
    super(reason);
    this.code = code;
  }
}

/** Throws RECORD_MISFIT: the record is well-formed, but a field's value is not what the schema says. */
export function misfit(name: string, reason: string): never {
  throw new BadRecord("RECORD_MISFIT", `field "${name}" ${reason}`);
}
