/*
 * Verifies a statement of signed bundles as an agent does, and opens what it signs.
 */
import type { Bundle } from '../../bundle/bundle.ts';
import { parseBundle } from '../../bundle/decode.ts';
import { acceptKeyLists } from '../../bundle/key-list.ts';
import { BUNDLE_STATEMENT, keyIdOf, type Statement, verifyStatement } from '../../bundle/statement.ts';
import type { TrustAnchor } from '../../bundle/trust-anchor.ts';
import { jsonOfStatement, type SlotConfigMap } from './slot-config-maps.ts';

/** What a valid statement signs. */
export interface OpenedStatement {
  /** Absent: the statement is about a namespace. */
  readonly bundle?: Bundle;
  /** ID of the key that signed. */
  readonly key: string;
  /** When its period ends, ISO 8601. */
  readonly validUntil: string;
}

/** Opens `statement` from the ConfigMaps of its namespace. @throws RefusedError with the code that an agent refuses it by */
export function openStatement(statement: Statement, all: readonly SlotConfigMap[], anchor: TrustAnchor): OpenedStatement {
  const { schema, namespace, workload } = statement;
  const slots = all.filter((slot) => slot.namespace === namespace);
  const isOwn = ({ statement: found }: SlotConfigMap): boolean => found?.digest === statement.digest && found.number === statement.number;
  const { jws = '', keys: lists = '' } = slots.find(isOwn) ?? {};
  const keys = acceptKeyLists(lists, anchor);
  verifyStatement(schema, jws, { cluster: anchor.cluster, namespace, workload, keys, nowMs: Date.now() });
  const json = jsonOfStatement(statement, slots);
  const key = keyIdOf(jws);
  const validUntil = new Date(keys.keys.get(key)?.notAfter ?? 0).toISOString();
  return { key, validUntil, ...(schema === BUNDLE_STATEMENT ? { bundle: parseBundle(json) } : {}) };
}
