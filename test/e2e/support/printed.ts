/*
 * Commands in a container whose output `kubectl exec` may lose: it can print nothing and still exit with 0
 * (kubernetes/kubernetes#34256, #124571), which says nothing about what ran in the container.
 */
const ATTEMPTS = 5;

/**
 * Repeats a command that always prints something until it has printed.
 * @param ask runs the command, which may run more than once; its errors are not repeated
 * @returns what it printed; empty after five runs without output
 */
export async function printed(ask: () => Promise<string>): Promise<string> {
  for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
    const output = await ask();
    if (output !== '') return output;
    process.stderr.write(`kubectl exec lost the output of a command (run ${attempt} of ${ATTEMPTS})\n`);
  }
  return ask();
}
