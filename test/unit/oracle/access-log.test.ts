/*
 * The oracle's reader of Envoy's access log: a request that was left in flight must not answer for the next one.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AccessLog } from '../../oracle/access-log.ts';

const CONNECTION = '10.0.0.9:5000 10.0.0.1:80';
const lineOf = (start: number, details: string, kind = 'request'): string =>
  `${JSON.stringify({ kind, connection: CONNECTION, start: String(start), details })}\n`;

describe('the access log of Envoy', () => {
  let directory = '';
  let path = '';
  let log: AccessLog;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'access-log-'));
    path = join(directory, 'access.log');
    writeFileSync(path, '');
    log = new AccessLog(path);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('returns the line of a request', async () => {
    appendFileSync(path, lineOf(1000, 'a'));
    expect((await log.take('request', CONNECTION, 1000))?.details).to.equal('a');
  });

  it('does not return the line of a request that was left in flight on the same port', async () => {
    appendFileSync(path, lineOf(1000, 'left in flight'));
    appendFileSync(path, lineOf(9000, 'the next'));
    expect((await log.take('request', CONNECTION, 9000))?.details).to.equal('the next');
  });

  it('does not return a line that it returned before', async () => {
    appendFileSync(path, lineOf(1000, 'a'));
    await log.take('request', CONNECTION, 1000);
    appendFileSync(path, lineOf(1001, 'b'));
    expect((await log.take('request', CONNECTION, 1001))?.details).to.equal('b');
  });

  it('returns the first of several requests of one connection, and distinguishes requests from connections', async () => {
    appendFileSync(path, lineOf(1000, 'connection', 'connection') + lineOf(1000, 'first') + lineOf(1001, 'second'));
    expect((await log.take('request', CONNECTION, 1000))?.details).to.equal('first');
  });
});
