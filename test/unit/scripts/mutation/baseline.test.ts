import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Baseline, type Measured } from '../../../../scripts/mutation/baseline.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const TEST = { file: 'a.test.ts', digest: '1' };
const MEASURED: Measured = { ...TEST, ms: 5, coverage: { 'src/a.ts': [[0, 1]] } };

describe('the baseline of the tests', () => {
  it('measures a test file once, also for runs to come', () =>
    withDirectory({}, async (directory) => {
      const path = join(directory, 'deep', 'tests.jsonl');
      let measured = 0;
      const measure = async (): Promise<Measured> => {
        measured += 1;
        return MEASURED;
      };
      const first = new Baseline(path);
      await Promise.all([first.get(TEST, measure), first.get(TEST, measure)]);
      appendFileSync(path, '{"file":"cut');

      expect(await new Baseline(path).get(TEST, measure)).to.deep.equal(MEASURED);
      expect(measured).to.equal(1);
      await new Baseline(path).get({ ...TEST, digest: '2' }, measure);
      expect(measured).to.equal(2);
    }));

  it('keeps a failure for this run only', () =>
    withDirectory({}, async (directory) => {
      const path = join(directory, 'tests.jsonl');
      const failing = async (): Promise<Measured> => ({ ...MEASURED, failure: 'no', coverage: {} });
      const baseline = new Baseline(path);

      expect((await baseline.get(TEST, failing)).failure).to.equal('no');
      expect((await baseline.get(TEST, async () => MEASURED)).failure).to.equal('no');
      expect(await new Baseline(path).get(TEST, async () => MEASURED)).to.deep.equal(MEASURED);
    }));
});
