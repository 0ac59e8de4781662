/*
 * Removes what a suite, or an earlier run that was interrupted, created in the cluster. Suites call it before and after.
 */
import type { Shell } from './shell.ts';

/** Removes both kinds of installation, the namespaces of the task and the CRDs; does nothing when they do not exist. */
export async function cleanUp(shell: Shell): Promise<void> {
  await shell.run('kubectl delete namespace foo keys --ignore-not-found --timeout=90s', { timeoutMs: 100_000 });
  // What a failed `helm test` leaves for a look; the kinds of policies may not exist.
  await shell.attempt('kubectl delete deployments,services,pods -n default -l app.kubernetes.io/part-of=sallyport --timeout=60s');
  await shell.attempt('kubectl delete ap --all -n default --timeout=60s');
  await shell.attempt('helm uninstall sallyport -n sallyport-system --wait --timeout 60s');
  await shell.attempt('kubectl delete -k manifests/ --ignore-not-found --timeout=60s');
  await shell.run('kubectl delete -f crds/ --ignore-not-found --timeout=60s');
  // The garbage collector may be slower than the next installation, which makes no signing keys while signed bundles exist.
  await shell.run('kubectl delete configmaps -n default -l app.kubernetes.io/managed-by=sallyport --timeout=60s');
  await shell.run('kubectl delete namespace sallyport-system --ignore-not-found --timeout=90s', { timeoutMs: 100_000 });
}
