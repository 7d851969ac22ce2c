// A program that its driver can run, and an executor cannot.
import delays from "../../../docs/examples/frames/delays.ts";

if (process.argv[2] === "executor") throw new Error("no program for executors");

export default delays;
