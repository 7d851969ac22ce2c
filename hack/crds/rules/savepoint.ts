// Rules of Savepoints.
import { type Rule, url } from "./rule.ts";

const fixed = (field: string): Rule => ({
  at: "spec",
  rule: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
  message: "cannot be changed: a savepoint is of one job and at one place; make another Savepoint",
  field: `.${field}`,
});

export const savepointRules: readonly Rule[] = [
  {
    at: "spec.job",
    rule: "self.matches('^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$')",
    message: "must be the name of a StreamJob in this namespace",
  },
  { at: "spec.location", ...url },
  fixed("job"),
  fixed("location"),
];
