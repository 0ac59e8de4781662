/*
 * Shared by all of lowering: the context of one rule, and how values that cannot be compiled are dropped. Under ALLOW, Istio drops the
 * whole rule; under DENY, AUDIT and CUSTOM only the value, so that a mistake never allows more. If Envoy may match something by a value
 * that admission rejects, the whole list is dropped with it there.
 * @see istio pilot/pkg/security/authz/model/model.go, checkError
 */
import type { Action } from '../../api/istio/resources.ts';
import type { ErrorCode, Finding } from '../../errors.ts';
import type { Clause } from '../model/program.ts';

/** A finding and its policy. */
export interface PolicyFinding extends Finding {
  readonly policy: { readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy'; readonly namespace: string; readonly name: string };
}

/** The rule that is being lowered, for one protocol. */
export interface RuleContext {
  /** Namespace of the policy: the default of `serviceAccounts`. */
  readonly namespace: string;
  readonly action: Action;
  readonly protocol: 'http' | 'tcp';
  /** The mesh's trust domain and its aliases. */
  readonly trustDomains: readonly string[];
  /** Reports a value that is dropped, or that drops its rule. */
  report(code: ErrorCode, path: string, message: string): void;
}

/** Result that drops the rule: ALLOW with a value that cannot be compiled, or an unknown key. Compared by identity. */
export const DROP_RULE: unique symbol = Symbol('drop rule');
/** The type of {@link DROP_RULE}. */
export type DropRule = typeof DROP_RULE;

/** A value that cannot be compiled, and why. */
export interface BadValue {
  readonly code: ErrorCode;
  readonly message: string;
  /** Envoy may match something by it, but what is unknown: a positive list without it would match too little under DENY. */
  readonly mayMatch?: true;
}

/** Reads one value: its matches, or why it is invalid. A value may have several matches (trust-domain aliases). */
export type ReadValue<M> = (value: string) => readonly M[] | BadValue;

/** Is the result of {@link ReadValue} an invalid value? */
export function isBadValue<M>(result: readonly M[] | BadValue): result is BadValue {
  return 'code' in result;
}

/** A positive and a negative list of one field, as written. */
export interface FieldValues {
  /** Path of the positive list, e.g. `spec.rules[0].from[0].source.ipBlocks`. */
  readonly path: string;
  /** Path of the negative list. */
  readonly notPath: string;
  readonly values: readonly string[] | undefined;
  readonly notValues: readonly string[] | undefined;
}

/** The lists of a clause; a list is absent if none of its values can be compiled. */
export interface ReadLists<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

/** Reads both lists of a field; the action of the rule decides what an invalid value drops. */
export function readLists<M>(context: RuleContext, field: FieldValues, read: ReadValue<M>): ReadLists<M> | DropRule {
  const wanted = readList(context, field.values, field.path, read);
  const excluded = readList(context, field.notValues, field.notPath, read);
  if (context.action === 'ALLOW' && wanted.faults.length + excluded.faults.length > 0) return DROP_RULE;
  const anyOf = wanted.faults.some(({ mayMatch }) => mayMatch) ? [] : wanted.matches;
  const noneOf = excluded.matches;
  return { ...(anyOf.length > 0 && { anyOf }), ...(noneOf.length > 0 && { noneOf }) };
}

interface ReadList<M> {
  readonly matches: readonly M[];
  /** The values that were dropped. */
  readonly faults: readonly BadValue[];
}

function readList<M>(context: RuleContext, values: readonly string[] | undefined, path: string, read: ReadValue<M>): ReadList<M> {
  const matches: M[] = [];
  const faults: BadValue[] = [];
  for (const [index, value] of (values ?? []).entries()) {
    const result = read(value);
    if (!isBadValue(result)) {
      matches.push(...result);
      continue;
    }
    context.report(result.code, `${path}[${index}]`, result.message);
    faults.push(result);
  }
  return { matches, faults };
}

/** The clauses of one entry, or {@link DROP_RULE}. */
export type Lowered = readonly Clause[] | DropRule;

/** Drops an HTTP attribute on TCP: the rule under ALLOW, the field under every other action. `undefined` on HTTP: keep it. */
export function dropOnTcp(context: RuleContext, field: FieldValues): Lowered | undefined {
  return context.protocol === 'http' ? undefined : dropField(context, field);
}

/** Drops a field of which no value can be compiled, and under ALLOW the rule with it. */
export function dropField(context: RuleContext, field: FieldValues): Lowered {
  const used = (field.values?.length ?? 0) > 0 || (field.notValues?.length ?? 0) > 0;
  return used && context.action === 'ALLOW' ? DROP_RULE : [];
}

/** One clause if at least one list is present, else no clause. */
export function clauseOf<M>(lists: ReadLists<M> | DropRule, create: (lists: ReadLists<M>) => Clause): Lowered {
  if (lists === DROP_RULE) return DROP_RULE;
  return lists.anyOf === undefined && lists.noneOf === undefined ? [] : [create(lists)];
}

/** The clauses of several fields together; {@link DROP_RULE} if any part is. */
export function allOf(parts: readonly Lowered[]): Lowered {
  const clauses: Clause[] = [];
  for (const part of parts) {
    if (part === DROP_RULE) return DROP_RULE;
    clauses.push(...part);
  }
  return clauses;
}
