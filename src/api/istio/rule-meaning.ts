/*
 * What a rule of an AuthorizationPolicy matches, in one phrase.
 */
import type { AuthorizationPolicySpec, AuthorizationRule } from './resources.ts';

const VERBS: Readonly<Record<AuthorizationPolicySpec['action'], string>> = {
  ALLOW: 'allows',
  DENY: 'denies',
  AUDIT: 'audits',
  CUSTOM: 'asks the external authorizer about',
};
const MAX_VALUES = 3;

/** What rule `index` does, e.g. `allows GET of every path from everyone`; undefined: there is no such rule. */
export function ruleMeaning({ action, rules = [] }: AuthorizationPolicySpec, index: number): string | undefined {
  const rule = rules[index];
  return rule === undefined ? undefined : `${VERBS[action]} ${operationText(rule)} from ${sourceText(rule)}${conditionText(rule)}`;
}

function operationText({ to = [] }: AuthorizationRule): string {
  const operations = to.map(({ operation = {} }) => {
    const hosts = operation.hosts === undefined ? '' : ` at ${valuesText(operation.hosts)}`;
    return `${valuesText(operation.methods) ?? 'every method'} of ${valuesText(operation.paths) ?? 'every path'}${hosts}`;
  });
  return operations.length === 0 ? 'every method of every path' : operations.join(' and ');
}

function sourceText({ from = [] }: AuthorizationRule): string {
  const isOpen = from.every(({ source = {} }) => Object.keys(source).length === 0);
  return isOpen ? 'everyone' : 'the sources that it names';
}

function conditionText({ when = [] }: AuthorizationRule): string {
  return when.length === 0 ? '' : ` if ${when.length === 1 ? 'its condition holds' : 'its conditions hold'}`;
}

function valuesText(values: readonly string[] | undefined): string | undefined {
  if (values === undefined) return undefined;
  return values.length > MAX_VALUES ? `${values.slice(0, MAX_VALUES).join(', ')}, …` : values.join(', ');
}
