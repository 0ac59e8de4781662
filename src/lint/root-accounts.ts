/*
 * Finds service accounts without a namespace in a policy of the root namespace, where the name refers to the root namespace
 * and not to the namespace of each workload.
 */
import type { AuthorizationPolicy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { conditionsOf, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** A warning for each service account without a namespace, if `policy` is in the root namespace. */
export function findRootAccounts(policy: AuthorizationPolicy, rootNamespace: string): readonly Finding[] {
  if (policy.metadata.namespace !== rootNamespace) return [];
  const bare = (path: string, values: readonly string[] = []): readonly Finding[] =>
    values.flatMap((value, index) => (value.includes('/') ? [] : [rootAccount(`${path}[${index}]`, value, rootNamespace)]));
  return rulesOf(policy).flatMap((placed) => [
    ...sourcesOf(placed).flatMap(({ source, path }) => [
      ...bare(`${path}.serviceAccounts`, source.serviceAccounts),
      ...bare(`${path}.notServiceAccounts`, source.notServiceAccounts),
    ]),
    ...conditionsOf(placed)
      .filter(({ condition }) => condition.key === 'source.serviceAccount')
      .flatMap(({ condition, path }) => [...bare(`${path}.values`, condition.values), ...bare(`${path}.notValues`, condition.notValues)]),
  ]);
}

function rootAccount(path: string, value: string, rootNamespace: string): Finding {
  return warn({
    code: 'SP_NEVER_MATCHES',
    path,
    message: `${JSON.stringify(value)} matches only ${rootNamespace}/${value}: a name without a namespace refers to the namespace of the policy`,
    hint: `write NAMESPACE/${value} for each intended namespace`,
  });
}
