import { expect } from 'chai';
import { createReloadReports } from '../../../src/config/reload-reports.ts';

describe('reports about the configuration', () => {
  it('say that it is refused while either the file or what it refers to is', () => {
    const said: string[] = [];
    const reports = createReloadReports((result, { error, needsRestart }) => said.push(`${result} ${error} ${needsRestart}`));
    reports.onProblems(['jwks.servers.0.caBundleFrom: gone']);
    reports.onReload('failure', { error: 'mesh: bad', needsRestart: false });
    reports.onProblems([]);
    reports.onReload('success', { error: '', needsRestart: true });
    const reference = 'jwks.servers.0.caBundleFrom: gone; no keys are fetched from these servers until it is corrected';
    expect(said).to.deep.equal([
      `failure ${reference} false`,
      `failure mesh: bad; the last good configuration stays active; ${reference} false`,
      'failure mesh: bad; the last good configuration stays active false',
      'success  true',
    ]);
  });
});
