/*
 * Explanations of the recorded requests: the verdict is the recorded one, and the results of the rules agree with the deciding
 * rule.
 */
import { expect } from 'chai';
import type { Enforced } from '../../src/explain/evaluate-to-end.ts';
import { explainRequest } from '../../src/explain/explain-request.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { buildCase } from './build-case.ts';
import { readCases } from './case-file.ts';
import { readRequest } from './read-request.ts';
import { timeOf } from './way-in.ts';

interface Explained {
  readonly name: string;
  readonly outcome: string;
  readonly explanation: Explanation;
}

/** Every recorded HTTP request except those that need an ext_authz check, which is not performed here. */
function explainAll(directory: string): readonly Explained[] {
  return readCases(new URL(directory, import.meta.url).pathname).flatMap((recorded) => {
    const { program, bundle } = buildCase(recorded);
    const enforced: Enforced = { program, keySets: bundle.keySets };
    return recorded.requests.flatMap((request) => {
      const read = readRequest(request, recorded);
      if (read.kind !== 'http' || request.observed === undefined) return [];
      const explanation = explainRequest(enforced, read.request, timeOf(request));
      if (explanation.caveats.some((caveat) => caveat.includes('was not called'))) return [];
      return [{ name: `${recorded.name}: ${request.name}`, outcome: request.observed.outcome, explanation }];
    });
  });
}

/** Rules that may have decided, as `policy rule`. */
function decisive({ rules }: Explanation): readonly string[] {
  return rules
    .filter(({ action, dryRun, matched, reached }) => matched && reached && !dryRun && (action === 'DENY' || action === 'ALLOW'))
    .map(({ rule }) => `${rule.policy} ${rule.rule}`);
}

describe('explanations of the recorded requests', () => {
  for (const directory of ['cases/', 'random/']) {
    it(`agree with the records of ${directory} and are consistent`, function () {
      this.timeout(120_000);
      const explained = explainAll(directory);

      expect(explained).to.not.have.length(0);
      for (const { name, outcome, explanation } of explained) {
        const { verdict, decidedBy, rules } = explanation;
        expect(verdict.outcome, name).to.equal(outcome);
        if (decidedBy.stage === 'authorization') {
          if (decidedBy.rule === undefined) expect(decisive(explanation), name).to.deep.equal([]);
          else expect(decisive(explanation), name).to.include(`${decidedBy.rule.policy} ${decidedBy.rule.rule}`);
        }
        for (const { matched, nearness, misses } of rules) {
          expect(misses.length === 0, name).to.equal(matched);
          expect(nearness, name).to.be.within(0, 1);
        }
      }
    });
  }
});
