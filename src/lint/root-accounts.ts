/*
 * Service accounts without a namespace in a policy for the whole mesh, where a name alone means the root namespace. In: one
 * policy. Out: a warning for each. Called by lintPolicy.
 */
import type { AuthorizationPolicy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { conditionsOf, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** The bare service accounts of `policy` when it is in the root namespace. */
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
    message: `${JSON.stringify(value)} means ${rootNamespace}/${value} only: a name alone is of the namespace of the policy`,
    hint: `write NAMESPACE/${value} for each namespace that is meant`,
  });
}
