/* Limits of key fetches from the configuration. */
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { expect } from 'chai';
import { RefusedError } from '../../../src/errors.ts';
import { readFetchLimits } from '../../../src/jwks/fetch-limits.ts';
import { withDirectory } from '../../support/temporary-directory.ts';

const SETTINGS = { blockedCidrs: [], isLocal: true };

describe('readFetchLimits', () => {
  it('trusts the authorities of a file besides those of Node.js', () =>
    withDirectory({ 'ca.pem': 'the authorities' }, async (directory) => {
      const limits = await readFetchLimits({ ...SETTINGS, caFile: join(directory, 'ca.pem') }, {});

      expect(limits.trustedCa?.map(String)).to.deep.equal([...getCACertificates('default'), 'the authorities']);
    }));

  it('leaves the authorities to Node.js without a file', async () => {
    expect(await readFetchLimits(SETTINGS, {}))
      .to.include({ maxBytes: 1024 * 1024, maxRedirects: 5 })
      .and.not.have.property('trustedCa');
  });

  it('refuses a file that cannot be read, by its name', () =>
    withDirectory({}, async (directory) => {
      const caFile = join(directory, 'missing.pem');
      const error = await readFetchLimits({ ...SETTINGS, caFile }, {}).catch((reason: unknown) => reason);

      expect(error).to.be.instanceOf(RefusedError).with.property('code', 'SP_CONFIG');
      expect(String(error)).to.include(`jwks.caFile: cannot read ${caFile}`);
    }));

  it('resolves names by the system for an agent of this machine only', async () => {
    expect(await readFetchLimits(SETTINGS, {})).to.not.have.property('resolveHost');
    expect(await readFetchLimits({ blockedCidrs: [] }, {})).to.have.property('resolveHost');
  });
});
