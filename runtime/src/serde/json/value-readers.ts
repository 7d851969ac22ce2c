// The reader for a field's type.
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { ListReader, MapReader, StructReader } from "./nested-reader.ts";
import { AnyReader, BytesReader, DecimalReader } from "./range-reader.ts";
import { DayReader, InstantReader } from "./time-reader.ts";
import { BooleanReader, DoubleReader, EnumReader, IntegerReader, TextReader, type ValueReader } from "./value-reader.ts";

/** Makes the reader of a field. */
export function valueReader(spec: FieldSpec): ValueReader {
  const type = spec.type;
  switch (type.kind) {
    case "boolean":
      return new BooleanReader(spec);
    case "int8":
      return new IntegerReader(spec, "number", -128, 127);
    case "int16":
      return new IntegerReader(spec, "number", -32768, 32767);
    case "int32":
      return new IntegerReader(spec, "number", -2147483648, 2147483647);
    case "int64":
      return new IntegerReader(spec, type.as === "number" ? "number" : "int64", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    case "timestamp":
      if (type.text === "iso") return new InstantReader(spec, type.unit);
      return new IntegerReader(spec, type.unit === "ns" ? "int64" : "number", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    case "date":
      return new DayReader(spec);
    case "float32":
      return new DoubleReader(spec, true);
    case "float64":
      return new DoubleReader(spec, false);
    case "string":
      return new TextReader(spec);
    case "enum":
      return new EnumReader(spec, type.values);
    case "decimal":
      return new DecimalReader(spec, type.precision, type.scale);
    case "bytes":
      return new BytesReader(spec);
    case "any":
      return new AnyReader(spec);
    case "list":
      return new ListReader(spec, type.of, valueReader);
    case "map":
      return new MapReader(spec, type.of, valueReader);
    case "struct":
      return new StructReader(spec, type.fields, valueReader);
  }
}
