import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { followCertificateFiles } from '../../../../src/webhook/certs/certificate-files.ts';
import type { ServedCertificate } from '../../../../src/webhook/certs/certificate-rotator.ts';
import { issueAuthority, issueServing, type KeyPair } from '../../../../src/webhook/certs/issue.ts';
import { createFakeClock, type FakeClock, until } from '../../../support/fake-clock.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 0, 31);

describe('followCertificateFiles', () => {
  let directory: string;
  let clock: FakeClock;
  let stop: AbortController;
  let served: { readonly pair: KeyPair; readonly expiresMs: number }[];
  let running: Promise<void>;
  let first: KeyPair;
  let second: KeyPair;

  before(async () => {
    const authority = await issueAuthority(NOW_MS, DAY_MS);
    const issue = (validMs: number): Promise<KeyPair> => issueServing(authority, ['a.b.svc'], { nowMs: NOW_MS, validMs });
    [first, second] = [await issue(DAY_MS), await issue(2 * DAY_MS)];
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
    clock = createFakeClock();
    stop = new AbortController();
    served = [];
    const logger = createLogger({ level: 'silent', component: 'test' });
    const onServing = ({ serving: pair, expiresMs }: ServedCertificate): void => void served.push({ pair, expiresMs });
    running = followCertificateFiles({ directory, onServing, clock, logger }, stop.signal);
    await pass(0);
  });
  afterEach(async () => {
    stop.abort();
    await running;
    await rm(directory, { recursive: true });
  });

  /** The next pass, after `ms`. */
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await until(() => clock.pending().length > 0, 'the end of the pass');
  };
  const write = async ({ certPem, keyPem }: KeyPair): Promise<void> => {
    await writeFile(join(directory, 'tls.crt'), certPem);
    await writeFile(join(directory, 'tls.key'), keyPem);
  };

  it('serves the pair once it is there, and each later one', async () => {
    expect(served).to.deep.equal([]);

    await write(first);
    await pass(1_000);
    await pass(15_000);
    expect(served).to.deep.equal([{ pair: first, expiresMs: NOW_MS + DAY_MS }]);

    await write(second);
    await pass(15_000);
    expect(served.slice(1)).to.deep.equal([{ pair: second, expiresMs: NOW_MS + 2 * DAY_MS }]);
  });

  it('keeps the last pair when the files do not fit together or are invalid', async () => {
    await write(first);
    await pass(1_000);
    for (const pair of [
      { ...second, keyPem: first.keyPem },
      { ...second, certPem: 'x' },
      { ...second, keyPem: '' },
    ]) {
      await write(pair);
      await pass(15_000);
    }
    expect(served).to.have.length(1);

    await write(second);
    await pass(15_000);
    expect(served).to.have.length(2);
  });
});
