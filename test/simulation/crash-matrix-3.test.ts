// Part 3 of the crash matrix; see crash-matrix.ts.
import { crashMatrix } from "./crash-matrix.ts";

crashMatrix(2, 4);
