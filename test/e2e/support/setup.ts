// Once before all cluster tests of a run: the images are made and loaded, the operator is installed.
import { installOperator, jobImage, visitImages } from "./operator.ts";

export async function setup(): Promise<void> {
  await installOperator();
  for (const name of Object.keys(visitImages)) await jobImage(`visits-${name}`);
}
