/*
 * Runs policy tests: compares what was decided for each request with what the test expects. `sallyport test` reads the tables and
 * prints the results.
 */
import { type ExpectedMessages, messageDifferences } from './expected-message.ts';
import type { ExplainedMessages } from './explain-request.ts';
import type { ExplainedVerdict, Explanation } from './explanation.ts';
import { ruleText } from './rule-ref.ts';

/** What a test expects; absent members are not compared. */
export interface Expected extends ExpectedMessages {
  readonly verdict?: ExplainedVerdict['outcome'] | undefined;
  /** Of the agent's reply; a request that is allowed has none. */
  readonly status?: number | undefined;
  /** `namespace/name` of the policy that decides. */
  readonly policy?: string | undefined;
  /** Position of the rule that decides in its policy, from 0. */
  readonly rule?: number | undefined;
  /** `iss/sub` of the verified token; `''`: none. */
  readonly principal?: string | undefined;
}

/** A request with the expected decision. */
export interface PolicyTest {
  readonly name: string;
  readonly expected: Expected;
  /** Evaluates the request. */
  readonly explain: () => ExplainedMessages;
}

/** The result of one test. */
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
    const differences = [...decisionDifferences(expected, explanation), ...messageDifferences(expected, final)];
    return { name, passed: differences.length === 0, differences, explanation };
  });
}

/** The first difference also says what decided. */
function decisionDifferences(expected: Expected, { verdict, decidedBy }: Explanation): readonly string[] {
  const { rule } = decidedBy;
  const why = `${rule === undefined ? decidedBy.stage : ruleText(rule)}: ${decidedBy.text}`;
  const compared: readonly (readonly [name: string, expected: number | string | undefined, actual: number | string | undefined])[] = [
    ['verdict', expected.verdict, verdict.outcome],
    ['status', expected.status, verdict.status],
    ['policy', expected.policy, rule?.policy],
    ['rule', expected.rule, rule?.rule],
    ['principal', expected.principal, verdict.principal ?? ''],
  ];
  return compared
    .filter(([, wanted, actual]) => wanted !== undefined && wanted !== actual)
    .map(([name, wanted, actual], index) => `${name} is ${actual ?? 'none'}, expected ${wanted}${index === 0 ? ` (${why})` : ''}`);
}
