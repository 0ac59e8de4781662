/*
 * Lowers one operation of `rules[].to[]` to the clauses of one alternative.
 */
import type { Operation } from '../../api/istio/resources.ts';
import { type CreateClause, pathClause, portClause, stringClause } from './attributes.ts';
import { allOf, type Lowered, type RuleContext } from './lowering.ts';

type OperationField = 'hosts' | 'ports' | 'methods' | 'paths';

const OPERATION_FIELDS: readonly (readonly [OperationField, `not${Capitalize<OperationField>}`, CreateClause])[] = [
  ['hosts', 'notHosts', stringClause('host')],
  ['ports', 'notPorts', portClause],
  ['methods', 'notMethods', stringClause('method')],
  ['paths', 'notPaths', pathClause],
];

/**
 * The clauses of one operation; an absent operation matches any request.
 * @param path of the entry, e.g. `spec.rules[0].to[1]`
 */
export function lowerOperation(context: RuleContext, operation: Operation | undefined, path: string): Lowered {
  if (operation === undefined) return [];
  return allOf(
    OPERATION_FIELDS.map(([name, notName, create]) =>
      create(context, `operation.${name}`, {
        path: `${path}.operation.${name}`,
        notPath: `${path}.operation.${notName}`,
        values: operation[name],
        notValues: operation[notName],
      }),
    ),
  );
}
