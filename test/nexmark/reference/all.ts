// The references by query number. Query 12 depends on the clock of the run, so its reference is made for a run.
import type { Reference } from "./events.ts";
import { q0 } from "./q0.ts";
import { q1 } from "./q1.ts";
import { q11 } from "./q11.ts";
import { q13 } from "./q13.ts";
import { q14 } from "./q14.ts";
import { q17 } from "./q17.ts";
import { q18 } from "./q18.ts";
import { q19 } from "./q19.ts";
import { q2 } from "./q2.ts";
import { q20 } from "./q20.ts";
import { q22 } from "./q22.ts";
import { q3 } from "./q3.ts";
import { q4 } from "./q4.ts";
import { q5 } from "./q5.ts";
import { q7 } from "./q7.ts";
import { q8 } from "./q8.ts";

export const references: ReadonlyMap<number, Reference> = new Map([
  [0, q0],
  [1, q1],
  [2, q2],
  [3, q3],
  [4, q4],
  [5, q5],
  [7, q7],
  [8, q8],
  [11, q11],
  [13, q13],
  [14, q14],
  [17, q17],
  [18, q18],
  [19, q19],
  [20, q20],
  [22, q22],
]);
