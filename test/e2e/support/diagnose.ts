/*
 * Prints the state of the cluster and our logs to stderr when a step failed. Suites call it from afterEach.
 */
import type { Shell } from './shell.ts';

const questions = [
  'kubectl get pods -A -o wide',
  'kubectl get ra,ap,cm -n foo -o wide',
  `kubectl get ra,ap -n foo -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.status}{"\\n"}{end}'`,
  'kubectl describe pods -n foo',
  'kubectl get events -A --sort-by=.lastTimestamp | tail -n 40',
  'kubectl logs -n sallyport-system -l app.kubernetes.io/name=sallyport --all-containers --tail=60 --prefix',
  'kubectl logs -n foo -l app=httpbin -c sallyport-agent --tail=40 --prefix',
  'kubectl logs -n foo -l app=httpbin -c sallyport-init --tail=20 --prefix',
];

/** Writes the output of each command to stderr; a failed command prints its error and does not stop the others. */
export async function diagnose(shell: Shell, title: string): Promise<void> {
  process.stderr.write(`\n==== state of the cluster after the failure of: ${title}\n`);
  for (const question of questions) {
    const { stdout, stderr } = await shell.attempt(question, { timeoutMs: 15_000 });
    process.stderr.write(`\n$ ${question}\n${(stdout || stderr).slice(-6_000)}\n`);
  }
}
