/*
 * What the parts of lowering share: the context of one rule, and how values that cannot be compiled are dropped. Istio
 * drops the whole rule under ALLOW and only the value under DENY, AUDIT and CUSTOM, so that a mistake never allows more; there the
 * whole list goes with a value that admission refuses and Envoy may understand.
 * In: values and a reader for one value. Out: lists for the program. Used by every file of this folder.
 * @see istio pilot/pkg/security/authz/model/model.go, checkError
 */
import type { Action } from '../../api/istio/resources.ts';
import type { ErrorCode, Finding } from '../../errors.ts';
import type { Clause } from '../model/program.ts';

/** A finding and the policy it belongs to. */
export interface PolicyFinding extends Finding {
  readonly policy: { readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy'; readonly namespace: string; readonly name: string };
}

/** One rule of one policy under way to one protocol. */
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

/** The rule cannot be kept (ALLOW with a value that cannot be compiled, or an unknown key). Compared by identity. */
export const DROP_RULE: unique symbol = Symbol('drop rule');
export type DropRule = typeof DROP_RULE;

/** What is wrong with one value. */
export interface BadValue {
  readonly code: ErrorCode;
  readonly message: string;
  /** Envoy may match something by it, nobody can tell what: a positive list is nothing to go by without it. */
  readonly mayMatch?: true;
}

/** Reads one value: the matches it stands for, or what is wrong. A value may stand for several (trust-domain aliases). */
export type ReadValue<M> = (value: string) => readonly M[] | BadValue;

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

/** Lists for a clause; a list without a value that can be compiled is absent. */
export interface ReadLists<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

/** Reads both lists of a field under the rule's action. */
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
  /** Of the values that were dropped. */
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

/** Clauses of one entry, or why there is no rule. */
export type Lowered = readonly Clause[] | DropRule;

/** An HTTP-only attribute on TCP: the rule goes under ALLOW, the field under every other action. `undefined`: nothing is lost. */
export function dropOnTcp(context: RuleContext, field: FieldValues): Lowered | undefined {
  return context.protocol === 'http' ? undefined : dropField(context, field);
}

/** Drops a field of which no value can be compiled: the rule goes with it under ALLOW. */
export function dropField(context: RuleContext, field: FieldValues): Lowered {
  const used = (field.values?.length ?? 0) > 0 || (field.notValues?.length ?? 0) > 0;
  return used && context.action === 'ALLOW' ? DROP_RULE : [];
}

/** One clause when any list is left, no clause when none is. */
export function clauseOf<M>(lists: ReadLists<M> | DropRule, make: (lists: ReadLists<M>) => Clause): Lowered {
  if (lists === DROP_RULE) return DROP_RULE;
  return lists.anyOf === undefined && lists.noneOf === undefined ? [] : [make(lists)];
}

/** Joins the clauses of several fields; one dropped rule drops all. */
export function allOf(parts: readonly Lowered[]): Lowered {
  const clauses: Clause[] = [];
  for (const part of parts) {
    if (part === DROP_RULE) return DROP_RULE;
    clauses.push(...part);
  }
  return clauses;
}
