/* Files of certificates as cert-manager, csi-driver-spiffe and spiffe-helper write them: read, refused, and replaced while they are used. */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { readTlsFiles } from '../../../../src/agent/tls/certificate-files.ts';
import { TlsCertificates } from '../../../../src/agent/tls/certificates.ts';
import { systemClock } from '../../../../src/clock.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import type { Logger } from '../../../../src/telemetry/logger.ts';
import { issue, newAuthority, type TestPair } from '../../../support/certificates.ts';
import { allow, filterChainOf } from '../../filters/chains.ts';
import { stage } from '../loopback.ts';
import { CLIENT_URI, clientOptions, type Mesh, newMesh, SERVER_URI, TlsDirectory, talkTls, terminationOf } from './tls-stage.ts';

describe('TLS files', function () {
  this.timeout(30_000);
  let mesh: Mesh;
  let directory: TlsDirectory;
  before(async () => {
    mesh = await newMesh();
  });
  beforeEach(() => {
    directory = new TlsDirectory().write(mesh.server, mesh.authority.certPem);
  });
  afterEach(() => directory.delete());

  describe('are refused, with the name of the file and the reason, when', () => {
    const cases: readonly (readonly [string, (own: TlsDirectory) => void | Promise<void>, RegExp])[] = [
      ['one is empty', (own) => own.put('tls.crt', ''), /^tls\.crt: not a certificate/],
      ['the certificate is cut', (own) => own.put('tls.crt', mesh.server.certPem.slice(0, 300)), /^tls\.crt: not a certificate/],
      ['the key is cut', (own) => own.put('tls.key', mesh.server.keyPem.slice(0, 80)), /^tls\.key: not a private key/],
      ['the key is that of another certificate', (own) => own.put('tls.key', mesh.client.keyPem), /^tls\.key: not the key of tls\.crt/],
      ['the bundle has no certificate', (own) => own.put('ca.crt', 'nothing\n'), /^ca\.crt: no certificate in it/],
      [
        'the bundle has a damaged certificate',
        (own) => own.put('ca.crt', `${mesh.authority.certPem}${mesh.server.certPem.replace('MII', 'AII')}`),
        /^ca\.crt: not a certificate/,
      ],
      ['one is too large', (own) => own.put('ca.crt', 'x'.repeat(LIMITS.tlsFileBytes.value + 1)), /^ca\.crt: larger than 1 MiB/],
      [
        'the certificate is expired',
        async (own) => void own.write(await issue(mesh.authority, { notBefore: -60, notAfter: -1 }), mesh.authority.certPem),
        /^tls\.crt: expired at 20/,
      ],
      [
        'the certificate is not valid yet',
        async (own) => void own.write(await issue(mesh.authority, { notBefore: 60 }), mesh.authority.certPem),
        /^tls\.crt: not valid before 20/,
      ],
    ];
    for (const [name, change, reason] of cases) {
      it(name, async () => {
        await change(directory);
        const error = await readTlsFiles(directory.files, undefined, Date.now()).then(
          () => undefined,
          (failure: Error) => failure.message,
        );

        expect(error).to.match(reason);
        expect(error).not.to.include('PRIVATE');
      });
    }

    it('one is missing', async () => {
      const missing = { ...directory.files, trustBundle: 'svid_bundle.pem' };
      const error = await readTlsFiles(missing, undefined, Date.now()).catch((failure: Error) => failure.message);

      expect(error).to.match(/^svid_bundle\.pem: ENOENT/);
    });
  });

  it('have the names that are set, and are parsed once', async () => {
    directory.put('svid.pem', mesh.server.certPem);
    directory.put('svid_key.pem', mesh.server.keyPem);
    directory.put('svid_bundle.pem', mesh.authority.certPem + (await newAuthority('another')).certPem);
    const { directory: path } = directory.files;
    const files = { directory: path, certificate: 'svid.pem', key: 'svid_key.pem', trustBundle: 'svid_bundle.pem' };
    const read = await readTlsFiles(files, undefined, Date.now());

    expect(read).to.include({ uri: SERVER_URI });
    expect(await readTlsFiles(files, read?.digest, Date.now())).to.equal(undefined);
  });

  describe('in use', () => {
    let stop: AbortController;
    let events: string[];
    let lines: Record<string, unknown>[];
    let certificates: TlsCertificates;
    let following: Promise<void>;
    const follow = async (): Promise<void> => {
      events = [];
      lines = [];
      stop = new AbortController();
      const note = (fields: Record<string, unknown>): number => lines.push(fields);
      certificates = new TlsCertificates({
        files: directory.files,
        clock: systemClock,
        logger: { warn: note, info: note } as unknown as Logger,
        observer: { onCertificate: () => events.push('used'), onCertificateRefused: () => events.push('refused') },
      });
      await certificates.begin();
      following = certificates.follow(stop.signal);
    };
    const until = async (test: () => boolean): Promise<void> => {
      while (!test()) await sleep(5);
    };
    const newServer = (): Promise<TestPair> => issue(mesh.authority, { uris: [SERVER_URI] });
    afterEach(async () => {
      stop.abort();
      await following;
    });

    it('are replaced when they change, and a pair that stays wrong is reported once', async () => {
      await follow();
      const first = certificates.current;
      directory.write(await newServer(), mesh.authority.certPem);
      await until(() => certificates.current !== first);
      expect(events).to.deep.equal(['used', 'used']);
      const second = certificates.current;
      directory.put('tls.key', mesh.client.keyPem);
      await until(() => events.includes('refused'));
      directory.put('other', 'x');
      await sleep(2 * LIMITS.tlsFileRetry.value);

      expect(certificates.current).to.equal(second);
      expect(certificates.problem).to.equal(undefined);
      expect(events).to.deep.equal(['used', 'used', 'refused']);
      expect(lines.at(-1)).to.deep.include({ problem: 'tls.key: not the key of tls.crt' });
      directory.write(await newServer(), mesh.authority.certPem);
      await until(() => events.length === 4);
      expect(events.at(-1)).to.equal('used');
    });

    it('may be written one after the other, as spiffe-helper does, without a report', async () => {
      await follow();
      const next = await newServer();
      directory.put('tls.crt', next.certPem);
      await sleep(LIMITS.tlsFileRetry.value / 4);
      directory.put('tls.key', next.keyPem);
      await until(() => events.length > 1);

      expect(events).to.deep.equal(['used', 'used']);
    });

    it('may be replaced as kubelet does, by a link to another directory', async () => {
      const root = directory.files.directory;
      const put = (name: string, pair: TestPair): void => {
        mkdirSync(join(root, name));
        writeFileSync(join(root, name, 'tls.crt'), pair.certPem);
        writeFileSync(join(root, name, 'tls.key'), pair.keyPem);
        writeFileSync(join(root, name, 'ca.crt'), mesh.authority.certPem);
        symlinkSync(name, join(root, '..data_tmp'));
        renameSync(join(root, '..data_tmp'), join(root, '..data'));
      };
      put('one', mesh.server);
      for (const name of ['tls.crt', 'tls.key', 'ca.crt']) {
        symlinkSync(`..data/${name}`, join(root, 'link'));
        renameSync(join(root, 'link'), join(root, name));
      }
      await follow();
      put('two', await newServer());
      await until(() => events.length > 1);

      expect(events).to.deep.equal(['used', 'used']);
    });

    it('may come after the start; until then there is a reason', async () => {
      directory.put('tls.crt', '');
      await follow();
      expect(certificates.current).to.equal(undefined);
      expect(certificates.problem).to.match(/^tls\.crt: not a certificate/);
      directory.write(mesh.server, mesh.authority.certPem);
      await until(() => certificates.current !== undefined);

      expect(certificates.problem).to.equal(undefined);
      expect(events).to.deep.equal(['refused', 'used']);
    });

    it('change under load without a failed request', async () => {
      await follow();
      const tls = { ...(await terminationOf(mesh)), certificates };
      const at = await stage({ tls, filterChain: filterChainOf([allow('all', {})]) });
      const get = 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
      const faults: string[] = [];
      let requests = 0;
      let isOver = false;
      const clients = Array.from({ length: 4 }, async () => {
        while (!isOver) {
          const client = await issue(mesh.authority, { uris: [CLIENT_URI] });
          const { text, error } = await talkTls(clientOptions(mesh, at.port, client), get);
          requests += 1;
          if (!text.startsWith('HTTP/1.1 200')) faults.push(`${text} ${error}`);
        }
      });
      const rotations = 10;
      for (let nth = 1; nth <= rotations; nth += 1) {
        directory.write(await newServer(), mesh.authority.certPem);
        await until(() => events.filter((event) => event === 'used').length > nth);
      }
      isOver = true;
      await Promise.all(clients);
      await at.stop();

      expect(faults).to.deep.equal([]);
      expect(requests).to.be.greaterThan(rotations);
      expect(events).not.to.include('refused');
    });
  });
});
