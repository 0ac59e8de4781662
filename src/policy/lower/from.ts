/*
 * Lowers one source of `rules[].from[]` to the clauses of one alternative.
 */
import type { Source } from '../../api/istio/resources.ts';
import {
  addressClause,
  type CreateClause,
  namespaceClause,
  principalClause,
  requestPrincipalClause,
  serviceAccountClause,
  trustDomainClause,
} from './attributes.ts';
import { allOf, type Lowered, type RuleContext } from './lowering.ts';

type SourceField = 'principals' | 'requestPrincipals' | 'namespaces' | 'serviceAccounts' | 'trustDomains' | 'ipBlocks' | 'remoteIpBlocks';

const SOURCE_FIELDS: readonly (readonly [SourceField, `not${Capitalize<SourceField>}`, CreateClause])[] = [
  ['principals', 'notPrincipals', principalClause],
  ['requestPrincipals', 'notRequestPrincipals', requestPrincipalClause],
  ['namespaces', 'notNamespaces', namespaceClause],
  ['serviceAccounts', 'notServiceAccounts', serviceAccountClause],
  ['trustDomains', 'notTrustDomains', trustDomainClause],
  ['ipBlocks', 'notIpBlocks', addressClause('sourceIp')],
  ['remoteIpBlocks', 'notRemoteIpBlocks', addressClause('remoteIp')],
];

/**
 * The clauses of one source; an absent source matches any request.
 * @param path of the entry, e.g. `spec.rules[0].from[1]`
 */
export function lowerSource(context: RuleContext, source: Source | undefined, path: string): Lowered {
  if (source === undefined) return [];
  return allOf(
    SOURCE_FIELDS.map(([name, notName, create]) =>
      create(context, `source.${name}`, {
        path: `${path}.source.${name}`,
        notPath: `${path}.source.${notName}`,
        values: source[name],
        notValues: source[notName],
      }),
    ),
  );
}
