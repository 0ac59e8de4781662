/*
 * Tests of policies. In: requests with what is expected of them. Out: for each, what was decided and how that differs. The
 * command `test` reads the tables and prints the results.
 */

import { type ExpectedMessages, messageDifferences } from './expected-message.ts';
import type { Explained } from './explain-request.ts';
import type { ExplainedVerdict, Explanation } from './explanation.ts';
import { ruleText } from './rule-ref.ts';

/** What a test asks for; absent members are not looked at. */
export interface Expected extends ExpectedMessages {
  readonly verdict?: ExplainedVerdict['outcome'] | undefined;
  /** Of the reply; a request that is let through has none. */
  readonly status?: number | undefined;
  /** `namespace/name` of the policy that decides. */
  readonly policy?: string | undefined;
  /** Position of the rule that decides in its policy, from 0. */
  readonly rule?: number | undefined;
  /** `iss/sub` of the verified token; `''`: none. */
  readonly principal?: string | undefined;
}

export interface PolicyTest {
  readonly name: string;
  readonly expected: Expected;
  readonly explain: () => Explained;
}

export interface PolicyTestResult {
  readonly name: string;
  readonly passed: boolean;
  /** One sentence per difference; empty when passed. */
  readonly differences: readonly string[];
  readonly explanation: Explanation;
}

/** Runs the tests in order. */
export function runTests(tests: readonly PolicyTest[]): readonly PolicyTestResult[] {
  return tests.map(({ name, expected, explain }) => {
    const { explanation, final } = explain();
    const differences = [...differencesOf(expected, explanation), ...messageDifferences(expected, final)];
    return { name, passed: differences.length === 0, differences, explanation };
  });
}

function differencesOf(expected: Expected, { verdict, decidedBy }: Explanation): readonly string[] {
  const { rule } = decidedBy;
  const why = `${rule === undefined ? decidedBy.stage : ruleText(rule)}: ${decidedBy.text}`;
  const compared: readonly (readonly [name: string, wanted: number | string | undefined, got: number | string | undefined])[] = [
    ['verdict', expected.verdict, verdict.outcome],
    ['status', expected.status, verdict.status],
    ['policy', expected.policy, rule?.policy],
    ['rule', expected.rule, rule?.rule],
    ['principal', expected.principal, verdict.principal ?? ''],
  ];
  return compared
    .filter(([, wanted, got]) => wanted !== undefined && wanted !== got)
    .map(([name, wanted, got], index) => `${name} is ${got ?? 'none'}, expected ${wanted}${index === 0 ? ` (${why})` : ''}`);
}
