// Part 2 of the crash matrix; see crash-matrix.ts.
import { crashMatrix } from "./crash-matrix.ts";

crashMatrix(1, 4);
