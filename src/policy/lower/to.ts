/*
 * `rules[].to[]` to clauses. In: one operation. Out: the clauses of one alternative. Called by `lowerRule`.
 */
import type { Operation } from '../../api/istio/resources.ts';
import { type MakeClause, pathClause, portClause, stringClause } from './attributes.ts';
import { allOf, type Lowered, type RuleContext } from './lowering.ts';

type OperationField = 'hosts' | 'ports' | 'methods' | 'paths';

const OPERATION_FIELDS: readonly (readonly [OperationField, `not${Capitalize<OperationField>}`, MakeClause])[] = [
  ['hosts', 'notHosts', stringClause('host')],
  ['ports', 'notPorts', portClause],
  ['methods', 'notMethods', stringClause('method')],
  ['paths', 'notPaths', pathClause],
];

/**
 * Clauses of one operation; an absent operation matches any.
 * @param path of the entry, e.g. `spec.rules[0].to[1]`
 */
export function lowerOperation(context: RuleContext, operation: Operation | undefined, path: string): Lowered {
  if (operation === undefined) return [];
  return allOf(
    OPERATION_FIELDS.map(([name, notName, make]) =>
      make(context, `operation.${name}`, {
        path: `${path}.operation.${name}`,
        notPath: `${path}.operation.${notName}`,
        values: operation[name],
        notValues: operation[notName],
      }),
    ),
  );
}
