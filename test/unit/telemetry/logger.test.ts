import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { flushLogs } from '../../../src/telemetry/line-writer.ts';
import { createLogger, type LogFormat, type Logger, type LogLevel } from '../../../src/telemetry/logger.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-logger-'));

/** The lines that `write` logs, parsed. */
async function logged(level: LogLevel, write: (logger: Logger) => void): Promise<readonly Record<string, unknown>[]> {
  const path = join(directory, 'log');
  const fd = openSync(path, 'w');
  write(createLogger({ level, component: 'test', fd }));
  await flushLogs();
  closeSync(fd);
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('logger', () => {
  after(() => rmSync(directory, { recursive: true }));

  it('writes one JSON object per line with ISO time, level name, component and message', async () => {
    const [line] = await logged('info', (logger) => logger.info({ workload: 'foo/httpbin' }, 'bundle published'));
    expect(line).to.include({ level: 'info', component: 'test', workload: 'foo/httpbin', message: 'bundle published' });
    expect(line?.['time']).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(line).to.not.have.any.keys('pid', 'hostname', 'msg');
  });

  it('writes lines of its level and above only', async () => {
    const lines = await logged('warn', (logger) => {
      for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level](level);
    });
    const levels = lines.map(({ message }) => message);
    expect(levels).to.deep.equal(['warn', 'error']);
    expect(await logged('silent', (logger) => logger.fatal('any'))).to.deep.equal([]);
  });

  it('changes level and form of all its children while it runs', async () => {
    const path = join(directory, 'live');
    const fd = openSync(path, 'w');
    let [level, format]: [LogLevel, LogFormat] = ['info', 'json'];
    const logger = createLogger({ level: () => level, format: () => format, component: 'controller', fd });
    const child = logger.child({ part: 'reflector' });
    child.debug('one');
    [level, format] = ['debug', 'text'];
    child.debug({ token: 'secret' }, 'two');
    // A second logger of the process leaves the form alone, as the one that reports why the process ends.
    createLogger({ level: 'error', component: 'controller', fd }).error('three');
    // A fatal line hands what waits to the system immediately, before a write that is under way.
    await flushLogs();
    level = 'silent';
    child.fatal('four');
    [level, format] = ['warn', 'json'];
    child.info('five');
    child.warn('six');
    await flushLogs();
    closeSync(fd);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');

    expect(lines.map((line) => /two|three|"six"/.exec(line)?.[0])).to.deep.equal(['two', 'three', '"six"']);
    expect(lines[0]).to.match(/^\S+Z DEBUG two +component=controller part=reflector token=\[redacted\]$/);
  });

  it('writes no key twice when a part of the process logs', async () => {
    const path = join(directory, 'parts');
    const fd = openSync(path, 'w');
    const logger = createLogger({ level: 'info', component: 'controller', fd });
    logger.child({ part: 'reflector', kind: 'Pod' }).info({ attempt: 1 }, 'listed');
    await flushLogs();
    closeSync(fd);
    const keys = [...readFileSync(path, 'utf8').matchAll(/"([a-z]+)":/g)].map(([, key]) => key);

    expect(keys).to.include.members(['component', 'part']);
    expect(keys).to.deep.equal([...new Set(keys)]);
    // pino writes what a child repeats a second time.
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    expect(sources.filter((name) => /\.child\(\{ component\b/.test(readFileSync(join('src', name), 'utf8')))).to.deep.equal([]);
  });

  it('redacts secrets at the top and one level below', async () => {
    const [line] = await logged('info', (logger) =>
      logger.info({ authorization: 'Bearer a', headers: { cookie: 'b', accept: 'c' }, token: 'd', request: { jwt: 'e' } }, 'request'),
    );
    expect(line).to.deep.include({
      authorization: '[redacted]',
      headers: { cookie: '[redacted]', accept: 'c' },
      token: '[redacted]',
      request: { jwt: '[redacted]' },
    });
  });

  it('writes errors with their cause under err', async () => {
    const [line] = await logged('info', (logger) => logger.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed'));
    expect(line?.['err']).to.include({ type: 'Error', message: 'outer: inner' });
  });

  it('writes a message once that an error shares with its cause', async () => {
    const error = new RefusedError('SP_CONFIG', "Unknown option '--bogus'", { cause: new Error("Unknown option '--bogus'") });
    const [line] = await logged('info', (logger) => logger.error({ err: error }, 'failed'));
    expect(line?.['err']).to.include({ message: "Unknown option '--bogus'" });
  });

  it('writes no stack for failures of users and of other systems', async () => {
    const errors = [new TransientError('SP_JWKS_FETCH', 'cannot be fetched (ENOTFOUND)'), new RefusedError('SP_CONFIG', 'invalid')];
    const lines = await logged('info', (logger) => {
      for (const err of [...errors, new Error('a bug')]) logger.error({ err }, 'failed');
    });
    expect(lines.map(({ err }) => 'stack' in (err as object))).to.deep.equal([false, false, true]);
    expect(lines[0]?.['err']).to.include({ type: 'TransientError', message: 'cannot be fetched (ENOTFOUND)', code: 'SP_JWKS_FETCH' });
  });
});
